"""Estimators: the named methods, each an ensemble with a deviation and weights."""
