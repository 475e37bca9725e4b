"""Image workers, `POST /generate`, as an upstream: machines that make pictures with the one model they have loaded
(C-38). Pure.
"""
