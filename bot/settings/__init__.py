"""The settings: read from the environment and ``.env``, checked, and warned about."""
