"""Decisions: from scores to actions."""
