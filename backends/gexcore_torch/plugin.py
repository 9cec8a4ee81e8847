"""The plugin of this backend. It imports no PyTorch."""

from __future__ import annotations

from gexcore.backend import BackendSpec, hookimpl


@hookimpl
def gexcore_register_backend() -> BackendSpec:
    """The PyTorch backend, for all modules."""
    return BackendSpec(
        name="torch",
        factory="gexcore_torch.backend:TorchBackend",
        models=("torch.nn.modules.module.Module", "transformers.trainer.Trainer"),
        requires=("torch",),
        hint="pip install 'gexcore[torch]'",
        demo="gexcore_torch.demo:train",
    )
