"""HTTP: translates requests to use cases and their answers to JSON."""
