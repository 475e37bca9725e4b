"""`make smoke`: agents, libraries and emulators that others wrote, through a gateway of its own."""
