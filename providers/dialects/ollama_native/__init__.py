"""Ollama's own chat API, `/api/chat`, as an upstream. Pure."""
