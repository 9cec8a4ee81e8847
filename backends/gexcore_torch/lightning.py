"""Lightning: the loss of ``training_step``, and the data of a Trainer or a LightningDataModule."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from gexcore.errors import GexError, InvalidDataError, InvalidModelError

ROOTS = ("lightning", "pytorch_lightning")
NEAR = 1e-4
"""Two losses are the same if they differ less, relatively."""
TRIED = 4
"""Samples on which two losses are compared."""


class Whole(NamedTuple):
    """A batch as ``training_step`` gets it."""

    batch: Any
    alone: bool = False


class _PerSample(TorchFunctionMode):
    """Losses of PyTorch without their reduction."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == nn.functional.__name__ and "reduction" in kwargs:
            losses = func(*args, **{**kwargs, "reduction": "none"})
            return losses.reshape(len(losses), -1).mean(1) if losses.ndim > 1 else losses
        return func(*args, **kwargs)


def is_a(value: Any, name: str) -> bool:
    """Whether this is an object of Lightning's class of that name, which is not imported."""
    return any(
        cls.__name__ == name and cls.__module__.partition(".")[0] in ROOTS
        for cls in type(value).__mro__
    )


def steps(module: nn.Module) -> bool:
    """Whether the module has a ``training_step`` of its own."""
    if not is_a(module, "LightningModule"):
        return False
    home = next(cls for cls in type(module).__mro__ if "training_step" in vars(cls))
    return home.__module__.partition(".")[0] not in ROOTS


def with_steps(module: nn.Module) -> nn.Module:
    """The same copy of a module, whose ``forward`` runs ``training_step`` for a `Whole` batch."""
    silent: Any = module
    silent.log = silent.log_dict = _silent
    silent.forward = MethodType(_forward, module)
    return module


@torch.no_grad()
def loss_of_step(
    module: nn.Module, batch: Any, names: Iterable[str], losses_by: Callable[[str], Tensor]
) -> tuple[str | None, bool]:
    """The named loss that gives what ``training_step`` gives, or None.

    Without one, the second value says whether ``training_step`` has to see each sample alone.

    Parameters
    ----------
    module : nn.Module
        Module of `with_steps`.
    batch : Any
    names : iterable of str
    losses_by : callable
        Function from a name to the losses of the batch.

    Raises
    ------
    InvalidModelError
        If ``training_step`` needs its Trainer, or gives no loss.
    """
    wanted = _losses_alone(module, batch, TRIED)
    for name in names:
        if _agree(partial(losses_by, name), wanted):
            return name, False
    return None, not _agree(partial(module, Whole(batch)), wanted)


def loader_of(source: Any) -> Any:
    """The training data of a LightningDataModule or a Trainer of Lightning.

    Raises
    ------
    InvalidDataError
        If there is none, or there are several.
    """
    if is_a(source, "Trainer"):
        loader = source.train_dataloader
    else:
        source.prepare_data()
        source.setup("fit")
        loader = source.train_dataloader()
    if loader is None or isinstance(loader, Mapping | list | tuple):
        told = "no training data yet" if loader is None else "several training loaders"
        msg = f"the {type(source).__name__} has {told}; give one loader, as in fit(module, loader)"
        raise InvalidDataError(msg)
    return loader


def _forward(module: Any, *args: Any, **kwargs: Any) -> Any:
    if not args or not isinstance(args[0], Whole):
        return type(module).forward(module, *args, **kwargs)
    batch, alone = args[0]
    if not alone:
        with _PerSample():
            return _loss(module, batch)
    samples = _samples(batch)
    if not module.training:
        return _losses_alone(module, batch, samples)
    return _loss(module, batch).expand(samples)


def _losses_alone(module: nn.Module, batch: Any, samples: int) -> Tensor:
    """Losses of ``training_step``, one sample after the other."""
    try:
        return torch.stack([_loss(module, part) for part in _parts(batch, samples)])
    except GexError:
        raise
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise _no_loss(module, f" ({told})") from error


def _loss(module: Any, batch: Any) -> Tensor:
    wanted = inspect.signature(module.training_step).parameters
    found = module.training_step(*(batch, 0)[: len(wanted)])
    if isinstance(found, Mapping):
        found = found.get("loss")
    if not isinstance(found, Tensor):
        raise _no_loss(module, "")
    return found


def _no_loss(module: Any, told: str) -> InvalidModelError:
    return InvalidModelError(
        f"training_step of {type(module).__name__} gives no loss outside of its Trainer{told}; "
        "give loss='cross_entropy', or a function of the output of forward and the target"
    )


def _samples(batch: Any) -> int:
    return next(len(leaf) for leaf in tree_flatten(batch)[0] if isinstance(leaf, Tensor))


def _parts(batch: Any, samples: int) -> list[Any]:
    leaves, spec = tree_flatten(batch)
    many = _samples(batch)

    def cut(leaf: Any, i: int) -> Any:
        rows = isinstance(leaf, Tensor) and leaf.ndim and len(leaf) == many
        return leaf[i : i + 1] if rows else leaf

    return [
        tree_unflatten([cut(leaf, i) for leaf in leaves], spec) for i in range(min(samples, many))
    ]


def _silent(*args: Any, **kwargs: Any) -> None:
    """In place of ``log``, which needs a Trainer."""


def _agree(losses: Callable[[], Any], wanted: Tensor) -> bool:
    """Whether a computation begins with these losses."""
    try:
        found = losses()[: len(wanted)]
    except Exception:  # a loss of another kind of output or target
        return False
    same = isinstance(found, Tensor) and found.shape == wanted.shape
    return same and torch.allclose(found.float(), wanted.float(), rtol=NEAR, atol=1e-6)
