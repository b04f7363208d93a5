"""Flows on a fat tree: routes, max-min fair rates, hashing."""
