"""PyTorch for gexcore: any ``nn.Module``.

The package imports nothing itself, so that a search for backends does not load PyTorch.
"""
