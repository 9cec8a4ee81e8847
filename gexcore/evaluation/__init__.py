"""Losses and derivatives of states over data."""
