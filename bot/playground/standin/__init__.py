"""A stand-in for the model server."""
