"""The plugin of this backend. It imports no PyTorch."""

from __future__ import annotations

from gexcore.backend import FOLDER, BackendSpec, hookimpl


@hookimpl
def gexcore_register_backend() -> BackendSpec:
    """The PyTorch backend, for all modules and trainers."""
    return BackendSpec(
        name="torch",
        factory="gexcore_torch.backend:TorchBackend",
        models=(
            "torch.nn.modules.module.Module",
            "transformers.trainer.Trainer",
            "lightning.pytorch.trainer.trainer.Trainer",
            "pytorch_lightning.trainer.trainer.Trainer",
        ),
        requires=("torch",),
        hint="pip install 'gexcore[torch]'",
        demo="gexcore_torch.demo:train",
        files={
            ".pt": "gexcore_torch.files:read_module",
            ".pth": "gexcore_torch.files:read_module",
            ".pt2": "gexcore_torch.files:read_exported",
            FOLDER: "gexcore_torch.files:read_pretrained",
        },
    )
