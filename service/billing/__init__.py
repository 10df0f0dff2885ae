"""Exact money: pure Decimal, no floats."""
