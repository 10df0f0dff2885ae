"""Efficiencies fitted to measurements."""
