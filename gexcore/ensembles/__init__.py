"""Distributions of parameters: where members come from."""
