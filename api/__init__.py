"""The HTTP surface: the data plane under /v1, its journal and usage, and the control API under /manage/."""
