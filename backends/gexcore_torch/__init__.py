"""PyTorch for gexcore: any ``nn.Module``.

The package itself imports nothing, so that finding the backend does not load PyTorch.
"""
