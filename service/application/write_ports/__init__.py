"""What the use cases of keys, writes and imports need from outside; the catalog implements it."""
