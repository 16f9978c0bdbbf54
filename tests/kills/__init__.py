"""The bot killed at random moments, over and over."""
