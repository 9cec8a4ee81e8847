"""The exhibits of the paper, each by one command, at any scale."""
