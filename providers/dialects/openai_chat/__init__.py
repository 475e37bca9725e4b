"""OpenAI chat completions, as OpenAI and those who copied it speak it. Pure."""
