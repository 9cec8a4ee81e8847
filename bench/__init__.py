"""Measurements of gexcore; no part of the package."""
