"""Physical numbers as pure functions over NumPy arrays: seconds, bytes, FLOP, joules."""
