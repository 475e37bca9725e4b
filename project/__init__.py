"""Settings, URLs, the ASGI application, Celery, and the command that starts everything."""

__version__ = "0.1.0"
