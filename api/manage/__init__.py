"""The management API under /manage/: what the admin does, as JSON, with the same roles and one revision per write."""
