"""OpenAI's Responses API, as OpenAI and those who copied it speak it. Pure."""
