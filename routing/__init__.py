"""WHICH model answers: public models, routes, aliases, prefixes, revisions, the snapshot and its resolution."""
