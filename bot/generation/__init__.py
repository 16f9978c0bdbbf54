"""A turn from prompt to recorded reply; knows no Discord."""
