"""Cohere's own client tells the conversation of the argument: whole, streamed, and asking for an answer of a schema."""

from __future__ import annotations

import json
import os
import sys

import cohere

told = json.loads(sys.argv[1])
client = cohere.ClientV2(api_key=os.environ["KEY"], base_url=os.environ["URL"])
messages, model = told["messages"], os.environ["MODEL"]
plain = {
    "model": model,
    "messages": messages,
    "tools": told["tools"],
    "tool_choice": "REQUIRED",
    "stop_sequences": ["END"],
    "p": 0.75,
    **told["sampling"],
}
client.chat(**plain)
list(client.chat_stream(**plain))
client.chat(model=model, messages=messages[:2], response_format={"type": "json_object", "json_schema": told["schema"]})
