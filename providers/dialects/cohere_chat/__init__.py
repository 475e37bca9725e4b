"""Cohere's chat API, version 2, as an upstream. Pure."""
