"""A real network in namespaces on one Linux machine."""
