"""A small Discord on the loopback, with its rules and limits."""
