"""The whole bot, end to end."""
