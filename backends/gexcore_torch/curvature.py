"""Derivatives along directions of the trainable parameters, in evaluation mode."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from gexcore_torch.vectors import ravel

LossesOf = Callable[[Callable[..., Any]], Tensor]
"""A function from a callable in place of the module to the losses of a batch, (b,)."""

# forward mode has one level per process, and so has the choice of attention kernels
_LOCK = threading.Lock()

P = ParamSpec("P")
R = TypeVar("R")


def differentiating(method: Callable[P, R]) -> Callable[P, R]:
    """The method with gradients on, in any context of the caller."""

    # the caller may be in a no_grad or inference_mode block; leaving the latter ends both
    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.is_grad_enabled() and not torch.is_inference_mode_enabled():
            return method(*args, **kwargs)
        with torch.inference_mode(False):
            return method(*args, **kwargs)

    return call


def jvp_forward(
    module: nn.Module, params: Mapping[str, Tensor], tangents: Sequence[Tensor], losses_of: LossesOf
) -> Tensor:
    """Directional derivatives, shape (b,), in forward mode, at the cost of a training step.

    Raises
    ------
    NotImplementedError
        If the model has an operation without forward mode, such as a fused LSTM.
    """
    with exclusive(), torch.no_grad(), forward_ad.dual_level():
        duals = {
            name: forward_ad.make_dual(param.detach(), tangent)  # type: ignore[no-untyped-call]
            for (name, param), tangent in zip(params.items(), tangents, strict=True)
        }
        losses = losses_of(lambda *args, **kwargs: functional_call(module, duals, args, kwargs))
        primal, tangent = forward_ad.unpack_dual(losses)  # type: ignore[no-untyped-call]
        return torch.zeros_like(primal) if tangent is None else tangent.clone()


def jvp_reverse(
    module: nn.Module, params: Sequence[Tensor], tangents: Sequence[Tensor], losses_of: LossesOf
) -> Tensor:
    """Directional derivatives by reverse mode twice, for operations without forward mode.

    The product with the transposed Jacobian is linear in its weights u. Its derivative by u along
    the tangent is the result.
    """
    with exclusive():
        losses = losses_of(module)
        weights = torch.zeros_like(losses, requires_grad=True)
        grads = torch.autograd.grad(
            losses, params, weights, create_graph=True, materialize_grads=True
        )
        return torch.autograd.grad(_dot(grads, tangents), weights)[0]


def hvp(
    module: nn.Module, params: Sequence[Tensor], tangents: Sequence[Tensor], losses_of: LossesOf
) -> Tensor:
    """Hessian of the mean loss times the tangent, shape (p,), by reverse mode twice.

    More operations have a second reverse derivative than forward mode over reverse mode.
    """
    with exclusive():
        grads = torch.autograd.grad(
            losses_of(module).mean(), params, create_graph=True, materialize_grads=True
        )
        product = _dot(grads, tangents)
        if not product.requires_grad:  # the losses are linear in the parameters
            return ravel([torch.zeros_like(p) for p in params])
        return ravel(torch.autograd.grad(product, params, materialize_grads=True))


def _dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()


@contextmanager
def exclusive() -> Iterator[None]:
    """A block in which attention and transformer layers are not fused; one thread at a time."""
    # fused attention has neither forward mode nor a second derivative
    with _LOCK, sdpa_kernel(SDPBackend.MATH):
        fastpath = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fastpath)
