"""Modelled money as pure functions over NumPy arrays."""
