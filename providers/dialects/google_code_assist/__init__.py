"""Google's Code Assist API (`v1internal:generateContent`), as an upstream: Gemini's dialect in an envelope. Pure."""
