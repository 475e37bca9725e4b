"""Theta EdgeCloud's on-demand service, `/infer_request/{alias}`, as an upstream: jobs, waited for (C-43). Pure."""
