"""The gradient of every sample's loss, in evaluation mode."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.utils._pytree import tree_flatten, tree_unflatten

from gexcore_torch.curvature import exclusive
from gexcore_torch.data import Call
from gexcore_torch.randomness import Draws
from gexcore_torch.reading import duplicate
from gexcore_torch.vectors import ravel

Losses = Callable[[Callable[..., Any], Call], Tensor]
"""A function from a callable in place of the module, and its call, to losses (b,)."""

Route = Callable[[Losses, nn.Module, Mapping[str, Tensor], Call, Tensor], Tensor]
"""A route writes gradients into its last argument, (b, p), and returns the losses, (b,)."""

AT_ONCE = 2**26
"""The most numbers in gradients that are computed together: 256 MB in float32."""


class SampleGradients:
    """Gradients by the fastest route that works for the model. It is chosen once.

    Parameters
    ----------
    losses : callable
    draws : Draws
        Draws that make a random evaluation mode deterministic.
    """

    def __init__(self, losses: Losses, draws: Draws) -> None:
        self._losses = losses
        self._draws = draws
        self._routes: tuple[Route, ...] = (_vectorised, _one_by_one, _from_one_graph)

    def __call__(
        self, module: nn.Module, params: Mapping[str, Tensor], call: Call, expected: Tensor
    ) -> Tensor:
        """Gradients of the samples, shape (b, p), in the order of `params`.

        Parameters
        ----------
        module : nn.Module
        params : mapping
            Its trainable parameters by name.
        call : Call
        expected : Tensor
            Losses of the batch, shape (b,). A route with other losses is not taken.
        """
        flat = ravel([p.detach() for p in params.values()])
        out = flat.new_empty((len(expected), len(flat)))
        # a wrong route is wrong by far, for models that mix samples or draw noise for the batch
        error = 0.01 * float(torch.nan_to_num(expected, posinf=0.0, neginf=0.0).abs().max())
        *quick, sure = routes = self._routes
        with exclusive():
            for route in quick:
                try:
                    found = self._draws.run(
                        0, route, self._losses, module, params, duplicate(call), out
                    )
                except Exception:  # the last route raises the error of a wrong batch
                    continue
                if torch.allclose(found, expected, rtol=0.0, atol=error, equal_nan=True):
                    self._routes = routes[routes.index(route) :]
                    return out
            self._draws.run(0, sure, self._losses, module, params, duplicate(call), out)
        self._routes = (sure,)
        return out


def _vectorised(
    losses: Losses, module: nn.Module, params: Mapping[str, Tensor], call: Call, out: Tensor
) -> Tensor:
    rows, batch_of = _samples(call, len(out))

    def loss(values: dict[str, Tensor], sample: list[Tensor]) -> Tensor:
        single = batch_of([row[None] for row in sample])
        return losses(
            lambda *args, **kwargs: functional_call(module, values, args, kwargs), single
        )[0]

    values = {name: p.detach() for name, p in params.items()}
    size = max(1, AT_ONCE // out.shape[1])
    found = []
    for part, *samples in zip(
        *(torch.split(rows_of, size) for rows_of in (out, *rows)), strict=True
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "There is a performance drop", UserWarning
            )  # no slower than a loop
            grads, some = vmap(grad_and_value(loss), in_dims=(None, 0))(values, samples)
        _write(grads.values(), part)
        found.append(some)
    return torch.cat(found)


def _one_by_one(
    losses: Losses, module: nn.Module, params: Mapping[str, Tensor], call: Call, out: Tensor
) -> Tensor:
    rows, batch_of = _samples(call, len(out))
    found = []
    for i in range(len(out)):
        some = losses(module, batch_of([row[i : i + 1] for row in rows]))
        _backward(some, params, out[i : i + 1])
        found.append(some.detach())
    return torch.cat(found)


def _from_one_graph(
    losses: Losses, module: nn.Module, params: Mapping[str, Tensor], call: Call, out: Tensor
) -> Tensor:
    found = losses(module, call)
    _backward(found, params, out)
    return found.detach()


def _backward(losses: Tensor, params: Mapping[str, Tensor], out: Tensor) -> None:
    if not losses.requires_grad:
        out.zero_()
        return
    leaves = list(params.values())
    for i, loss in enumerate(losses):
        more = i + 1 < len(losses)
        _write(
            torch.autograd.grad(loss, leaves, retain_graph=more, materialize_grads=True),
            out[i : i + 1],
        )


def _write(grads: Any, out: Tensor) -> None:
    grads = [grad.reshape(len(out), -1) for grad in grads]
    for piece, grad in zip(
        torch.split(out, [grad.shape[1] for grad in grads], dim=1), grads, strict=True
    ):
        piece.copy_(grad)


def _samples(call: Call, b: int) -> tuple[list[Tensor], Callable[[Sequence[Tensor]], Call]]:
    """The parts of a call with one row per sample, and a function that makes calls of rows."""
    leaves, spec = tree_flatten(call)
    where = [
        i
        for i, leaf in enumerate(leaves)
        if isinstance(leaf, Tensor) and leaf.ndim and len(leaf) == b
    ]

    def batch_of(rows: Sequence[Tensor]) -> Call:
        changed = list(leaves)
        for i, row in zip(where, rows, strict=True):
            changed[i] = row
        return cast(Call, tree_unflatten(changed, spec))

    return [leaves[i] for i in where], batch_of
