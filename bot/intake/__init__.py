"""From a Discord message to a prompt."""
