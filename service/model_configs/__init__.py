"""Hugging Face configurations and model documents, read into normalised specifications."""

from service.model_configs.parse import ParsedConfig, parse_config
from service.model_configs.schema import ModelDocument, parse_model_document

__all__ = ["ModelDocument", "ParsedConfig", "parse_config", "parse_model_document"]
