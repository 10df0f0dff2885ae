"""Adapters: one module per source of prices, each turning the source's own shape into drafts."""
