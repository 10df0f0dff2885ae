"""Hugging Face config.json to a model specification."""
