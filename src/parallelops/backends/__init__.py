"""The built-in backends. Load them by name: ``parallelops.load_executor``."""
