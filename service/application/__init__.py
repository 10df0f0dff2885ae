"""Use cases; the ports they need are in ports.py."""
