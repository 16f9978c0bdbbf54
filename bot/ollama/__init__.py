"""The model server: bytes to objects, objects to typed chunks, failures to our errors."""
