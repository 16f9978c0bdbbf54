"""The bot under load for half an hour, while everything around it fails now and then."""
