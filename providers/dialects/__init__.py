"""The JSON and the event streams on the wire, one package per dialect. Pure."""
