"""Every secret we hold (sealed) or issue (hashed): projects, key sets, provider keys, tokens."""
