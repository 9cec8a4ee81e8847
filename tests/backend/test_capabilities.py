"""What a backend can do is what its class defines and its instance does not opt out of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gexcore.backend import protocols
from gexcore.backend.capabilities import CAPABILITIES, describe, require, supports
from gexcore.backend.data import ArrayDataset
from gexcore.backend.protocols import (
    SupportsBufferRefresh,
    SupportsDonation,
    SupportsEnsemble,
    SupportsHvp,
    SupportsJvp,
    SupportsLogits,
)
from gexcore.errors import MissingCapabilityError
from gexcore.evaluation.losses import evaluate_many
from gexcore_numpy import MLP, NumpyBackend


class Half:
    """One of the two methods of donated steps, and an attribute that is no method."""

    name = "half"
    logits = None

    def copy(self, state: Any) -> Any:
        return state

    def jvp(self, state: Any, tangent: Any, batch: Any) -> Any:
        return tangent


class Proxy:
    """Answers to every name."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args: None


def test_all_methods_of_a_capability_are_needed() -> None:
    assert supports(Half(), SupportsJvp)
    assert not supports(Half(), SupportsDonation)
    assert not supports(Half(), SupportsLogits)
    assert not supports(Proxy(), SupportsJvp)


def test_an_instance_opts_out() -> None:
    half = Half()
    half.unsupported = {SupportsJvp}  # type: ignore[attr-defined]
    assert not supports(half, SupportsJvp)
    plain = NumpyBackend(MLP.init((2, 3, 2), seed=0))
    normalised = NumpyBackend(MLP.init((2, 3, 2), seed=0, batch_norm=True))
    assert [supports(b, SupportsBufferRefresh) for b in (plain, normalised)] == [False, True]
    assert not supports(
        NumpyBackend(MLP.init((2, 1), seed=0), loss="squared_error"), SupportsLogits
    )


def test_a_subclass_with_another_result_loses_the_shortcut_to_the_old_one() -> None:
    class Doubled(NumpyBackend):
        def forward(self, state: Any, batch: Any, /) -> Any:
            return 2 * super().forward(state, batch)

        def sgd_step(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
            return super().sgd_step(state, batch, lr=0.0, seed=seed)

    class Both(Doubled):
        def forward_many(self, stacked: Any, batch: Any, /) -> Any:
            return 2 * super().forward_many(stacked, batch)

    model = MLP.init((2, 3, 2), seed=0)
    asked = (SupportsEnsemble, SupportsDonation, SupportsJvp)
    assert [[supports(cls(model), a) for a in asked] for cls in (NumpyBackend, Doubled, Both)] == [
        [True, True, True],
        [False, False, True],
        [True, False, True],
    ]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), np.arange(40) % 2
    once, twice = (
        evaluate_many(b, [b.initial_state()] * 3, ArrayDataset(x, y), batch_size=16)
        for b in (NumpyBackend(model), Doubled(model))
    )
    np.testing.assert_allclose(twice, 2 * once)


def test_one_error_names_all_that_is_missing() -> None:
    require(Half(), SupportsJvp, by="GEX-lin")
    wanted = (
        r"^LiSSA needs SupportsDonation \(copy/sgd_step_\), SupportsHvp \(hvp\), which backend "
        r"'half' does not have"
    )
    with pytest.raises(MissingCapabilityError, match=wanted):
        require(Half(), SupportsJvp, SupportsDonation, SupportsHvp, by="LiSSA")


def test_a_class_is_described_by_name() -> None:
    assert describe(Half) == {name: name == "jvp" for name in CAPABILITIES}
    assert describe(NumpyBackend)["hvp"]


def test_every_capability_of_a_backend_has_a_name() -> None:
    declared = {value for name, value in vars(protocols).items() if name.startswith("Supports")}
    assert declared - {protocols.SupportsAugmentation} == set(CAPABILITIES.values())
