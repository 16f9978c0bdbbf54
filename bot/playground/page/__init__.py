"""The playground's web page, and what it shows of the bot's work."""
