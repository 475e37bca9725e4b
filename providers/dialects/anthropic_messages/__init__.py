"""Anthropic's Messages API, as Anthropic, the clouds that host Claude, and those who copied it speak it. Pure."""
