"""From scores to actions."""
