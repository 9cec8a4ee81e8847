"""The trainings of the paper: as published, and shrunk in width, data and epochs alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Literal

from gexcore.backend.optimizer import Optimizer

Scale = Literal["quick", "small", "medium", "full"]
SCALES: tuple[Scale, ...] = ("quick", "small", "medium", "full")
BACKENDS = ("torch", "jax", "tensorflow")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One training at one scale.

    Parameters
    ----------
    samples : int or None
        Training samples at most; None for all.
    side : int
        Pictures are this many pixels high and wide.
    shape : mapping
        What the net is built with: widths, patches.
    batch_size, epochs, peak, decay, optimizer
        `decay` is an L2 penalty of SGD, or the decoupled decay of AdamW.
    warm_up : float or int
        Share of the steps, or a number of steps, in which the rate rises to `peak`.
    augment : bool
        Random crops, and flips of photographs.
    members, member_steps, member_lr : int, int or None, float
        The geometric ensemble of the paper. None is 8 % of the training's epochs, which 800 steps
        of 1,024 are of 200 epochs of CIFAR-10.
    directions, iterations, rank, hessian, draws : int
        R; products of Arnoldi, eigenvalues kept, samples of its Hessian; draws of LA.
    """

    samples: int | None = None
    side: int = 32
    shape: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 1024
    epochs: int = 200
    peak: float = 0.4
    warm_up: float = 0.1
    decay: float = 5e-4
    optimizer: Literal["sgd", "adamw"] = "sgd"
    augment: bool = True
    members: int = 32
    member_steps: int | None = 800
    member_lr: float = 0.05
    directions: int = 20
    iterations: int = 100
    rank: int = 20
    hessian: int = 10_000
    draws: int = 32

    @property
    def early(self) -> int:
        """The epoch at which EL2N is read: 20 of 200."""
        return max(1, self.epochs // 10)

    def rule(self) -> Optimizer:
        """The optimiser of the training."""
        return Optimizer(name=self.optimizer, weight_decay=self.decay)

    def steps_of_member(self, samples: int) -> int:
        """Steps before each member of the paper's ensemble."""
        if self.member_steps is not None:
            return self.member_steps
        return max(4, round(0.08 * self.epochs * samples / self.batch_size))


@dataclass(frozen=True)
class Recipe:
    """A net and its trainings.

    Parameters
    ----------
    name, net : str
        `net` is a name of `on_torch.NETS`.
    scales : mapping of Scale to Setting
    sigmoid : bool
        Whether the loss is the multi-label one.
    """

    name: str
    net: str
    scales: Mapping[Scale, Setting]
    sigmoid: bool = False

    def build(self, scale: Scale, backend: str, classes: int, seed: int, **more: Any) -> Any:
        """A fresh net with its starting weights."""
        module = nets_of(backend)
        if self.net not in module.NETS:
            told = ", ".join(module.NETS)
            raise SystemExit(f"{backend} has no {self.net}; it has {told}: choose --backend torch")
        return module.build(
            self.net, seed=seed, classes=classes, **{**self.scales[scale].shape, **more}
        )

    def loss(self, backend: str) -> Any:
        """The loss that gexcore is told: None for cross-entropy."""
        return nets_of(backend).sigmoid_loss if self.sigmoid else None


def nets_of(backend: str) -> Any:
    """The module of the nets in a framework.

    Raises
    ------
    SystemExit
        For a framework without nets.
    """
    if backend not in ("torch", "jax"):
        raise SystemExit(f"{backend} has no nets of the paper; choose --backend torch or jax")
    return import_module(f"bench.paper.recipes.on_{backend}")


def shrunk(full: Setting, **small: Any) -> dict[Scale, Setting]:
    """The four scales of a training: `small` as told, `quick` and `medium` around it."""
    few = {"augment": False, "members": 8, "member_steps": None, "iterations": 20, "hessian": 100}
    made = replace(full, **{**few, **small})
    quick = replace(
        made, samples=120, epochs=6, members=2, directions=3, iterations=4, rank=3, hessian=60,
        draws=3,
    )  # fmt: skip
    more = {"samples": None, "epochs": 3 * made.epochs, "members": 16, "iterations": 100}
    medium = replace(made, **more, hessian=2000)
    return {"quick": quick, "small": made, "medium": medium, "full": full}


IMAGENET = Setting(
    side=224, batch_size=4096, epochs=300, peak=0.003, warm_up=10_000, decay=0.3, optimizer="adamw"
)
FEW: dict[str, Any] = {"samples": 400, "side": 16, "batch_size": 50, "peak": 0.006,
                       "warm_up": 0.1, "decay": 0.01, "epochs": 24}  # fmt: skip
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("vgg_b", "vgg_b", shrunk(
            Setting(), samples=500, batch_size=25, epochs=20, peak=0.03,
            shape={"width": 4, "hidden": 128})),
        Recipe("resnet18", "resnet18", shrunk(
            Setting(), samples=500, side=16, batch_size=50, epochs=20, peak=0.1,
            shape={"width": 4})),
        Recipe("vit_s32", "vit", shrunk(
            IMAGENET, **FEW, shape={"side": 16, "patch": 4, "width": 24}), sigmoid=True),
        Recipe("mixer_s32", "mixer", shrunk(
            IMAGENET, **FEW, shape={"side": 16, "patch": 4, "width": 32}), sigmoid=True),
        Recipe("swem", "swem", shrunk(
            Setting(epochs=60, peak=0.001, decay=0.001, optimizer="adamw"), samples=1000,
            batch_size=50, epochs=30, peak=0.01, shape={"vocabulary": 1000, "width": 64})),
        Recipe("two_layer", "two_layer", shrunk(
            Setting(batch_size=70, epochs=3000, peak=0.3, augment=False), epochs=300)),
    )
}  # fmt: skip
