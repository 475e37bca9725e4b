"""GitLab Duo's chat, `/api/v4/chat/completions`, as an upstream: text in, one text back (C-27). Pure."""
