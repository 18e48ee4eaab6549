"""The image handlers that come with this library, loaded by name."""
