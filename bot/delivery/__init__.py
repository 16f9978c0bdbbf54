"""The Discord edge of a reply."""
