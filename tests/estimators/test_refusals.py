"""Every error: one sentence, before any work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.protocols import (
    SupportsCheckpoints,
    SupportsHvp,
    SupportsKronecker,
    SupportsParams,
    SupportsSampleGradients,
    SupportsSelection,
)
from gexcore.errors import InvalidSettingError, MissingCapabilityError
from gexcore.evaluation.selection import last_layer
from gexcore_numpy import MLP, NumpyBackend

QUIET = {"progress": False}
ZERO = MLP([np.zeros((2, 2))], [np.zeros(2)])
X, Y = np.ones((6, 2)), np.array([0, 1] * 3)


class Lacking(NumpyBackend):
    """A backend that counts its forward passes and has opted out of something."""

    def __init__(self, *without: type) -> None:
        super().__init__(ZERO)
        self.unsupported |= set(without)
        self.forwards = 0

    def forward(self, state: Any, batch: Any, /) -> Any:
        self.forwards += 1
        return super().forward(state, batch)


@pytest.mark.parametrize(
    ("method", "lacks", "told"),
    [
        (gx.IF(), SupportsHvp, r"IF needs SupportsHvp \(hvp\)"),
        (gx.IF(), SupportsParams, r"IF needs SupportsParams \(ravel/unravel\)"),
        (gx.Arnoldi(), SupportsHvp, r"Arnoldi needs SupportsHvp \(hvp\)"),
        (
            gx.LiSSA(),
            SupportsSampleGradients,
            r"LiSSA needs SupportsSampleGradients \(sample_gradients\)",
        ),
        (gx.RandProj(), SupportsParams, r"RandProj needs SupportsParams"),
        (gx.GEXLin(), SupportsParams, r"GEXLin needs SupportsParams"),
        (
            gx.TracIn(checkpoints=[ZERO]),
            SupportsSampleGradients,
            r"TracIn needs SupportsSampleGradients",
        ),
        (
            gx.TracIn(checkpoints=[ZERO]),
            SupportsCheckpoints,
            r"TracIn needs SupportsCheckpoints \(load\)",
        ),
        (
            gx.TracInRP(checkpoints=[ZERO]),
            SupportsCheckpoints,
            r"TracInRP needs SupportsCheckpoints \(load\)",
        ),
        (gx.Laplace(), SupportsKronecker, r"Laplace needs SupportsKronecker \(kronecker\)"),
        (gx.Laplace(structure="full"), SupportsHvp, r"Laplace needs SupportsHvp \(hvp\)"),
        (gx.IF(parameters="*0"), SupportsSelection, r"IF with parameters= needs SupportsSelection"),
        (
            gx.GEX(parameters="*0"),
            SupportsSelection,
            r"GEX with parameters= needs SupportsSelection",
        ),
        (gx.LastLayer(gx.GEX()), SupportsSelection, r"the last layer needs SupportsSelection"),
        (gx.LastLayer(gx.IF()), SupportsSelection, r"the last layer needs SupportsSelection"),
    ],
)
def test_a_missing_capability_is_named_before_any_work(method: Any, lacks: type, told: str) -> None:
    backend = Lacking(lacks)
    with pytest.raises(MissingCapabilityError, match=told):
        method.fit(backend, (X, Y), **QUIET)
    assert backend.forwards == 0


@pytest.mark.parametrize(
    "method", [gx.RandProj(directions=2), gx.GEXLin(lr=0.1, snapshots=2, chains=1)]
)
def test_losses_and_parameters_are_enough_for_linear_deviations(method: Any) -> None:
    from gexcore.backend.protocols import SupportsJvp

    found = method.fit(Lacking(SupportsJvp, SupportsHvp, SupportsSampleGradients), (X, Y), **QUIET)
    assert found.self_influence().shape == (6,)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: gx.IF(damping=-1), "damping is -1, and must be a finite number from 0 up"),
        (lambda: gx.IF(rank=0), "rank is 0, and must be a whole number from 1 up"),
        (lambda: gx.IF(batch_size=0), "batch_size is 0, and must be a whole number from 1 up"),
        (lambda: gx.Arnoldi(iterations=0), "iterations is 0, and must be a whole number"),
        (lambda: gx.Arnoldi(samples=0), "samples is 0, and must be a whole number"),
        (lambda: gx.RandProj(directions=0), "directions is 0, and must be a whole number"),
        (lambda: gx.LiSSA(scale=0), "scale is 0, and must be a finite number above 0"),
        (
            lambda: gx.LiSSA(damping=1.0),
            "damping is 1.0, and must be below 1; the effective damping is scale · damping",
        ),
        (lambda: gx.LiSSA(depth=0), "depth is 0, and must be a whole number"),
        (lambda: gx.Laplace(damping=0), "damping is 0, and must be a finite number above 0"),
        (lambda: gx.Laplace(scale=0), "scale is 0, and must be a finite number above 0"),
        (lambda: gx.Laplace(samples=0), "samples is 0, and must be a whole number"),
        (
            lambda: gx.Laplace(structure="diag"),
            "structure is 'diag'; allowed are 'kfac' and 'full'",
        ),
        (lambda: gx.Laplace(fisher="mean"), "fisher is 'mean'; allowed are 'true' and 'empirical'"),
        (
            lambda: gx.Laplace(rank=3),
            "rank truncates the full Hessian; leave it out, or set structure='full'",
        ),
        (lambda: gx.TracInRP(), "TracInRP got neither of checkpoints and ensemble; give one"),
        (
            lambda: gx.TracInRP(checkpoints=[1], ensemble=gx.Geometric()),
            "TracInRP got both of checkpoints and ensemble",
        ),
        (
            lambda: gx.TracInRP(ensemble=gx.GEX()),
            "ensemble is a GEX; TracInRP takes an ensemble, such as ensemble=gexcore.Geometric()",
        ),
        (
            lambda: gx.LastLayer(gx.Loss()),
            "LastLayer takes a method with the setting parameters, and Loss has none",
        ),
    ],
)
def test_a_setting_out_of_range_is_refused_at_once(make: Any, told: str) -> None:
    with pytest.raises(InvalidSettingError, match=told):
        make()


@pytest.mark.parametrize("checkpoints", [[], {"weight": 1}, "best.pt", ZERO])
@pytest.mark.parametrize("kind", [gx.TracIn, gx.TracInRP])
def test_checkpoints_are_a_list(kind: Any, checkpoints: Any) -> None:
    with pytest.raises(
        InvalidSettingError, match="needs a list of checkpoints of the training run, such as"
    ):
        kind(checkpoints=checkpoints).fit(ZERO, (X, Y), **QUIET)


@pytest.mark.parametrize("method", [gx.IF(), gx.Laplace(structure="full")])
def test_a_hessian_that_does_not_fit_is_refused(method: Any) -> None:
    model = MLP.init((2, 1300, 2), seed=0)
    with pytest.raises(
        InvalidSettingError,
        match=r"holds a Hessian of 6,502 × 6,502, and takes up to 5,000 .* LastLayer, or use "
        r"Arnoldi",
    ):
        method.fit(model, (X, Y), **QUIET)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ("head*", "parameters='head.' fits no trainable"),
        (["weight0", "x"], "parameters='x' fits"),
        ([], "an empty param"),
    ],
)
def test_parameters_that_fit_nothing_are_refused(parameters: Any, told: str) -> None:
    with pytest.raises(
        InvalidSettingError, match=rf"{told}.*choose names or patterns among 'weight0', 'bias0'"
    ):
        gx.IF(parameters=parameters).fit(ZERO, (X, Y), **QUIET)


def test_a_hessian_of_nothing_is_refused() -> None:
    class Flat(NumpyBackend):
        def hvp(self, state: Any, tangent: Any, batch: Any, /) -> Any:
            return 0 * tangent

    for method in (gx.IF(damping=0.0), gx.Arnoldi()):
        with pytest.raises(
            InvalidSettingError,
            match=r"the Hessian is zero at this model, and .* set damping above 0",
        ):
            method.fit(Flat(ZERO), (X, Y), **QUIET)


@pytest.mark.parametrize(
    ("names", "last"),
    [
        (["weight0", "bias0", "weight1", "bias1"], ["weight1", "bias1"]),
        (["body.0.weight", "fc.weight", "fc.bias"], ["fc.weight", "fc.bias"]),
        (["a.weight", "head.weight"], ["head.weight"]),
        (
            ["['Dense_0']['bias']", "['Dense_1']['bias']", "['Dense_1']['kernel']"],
            ["['Dense_1']['bias']", "['Dense_1']['kernel']"],
        ),
        (
            ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"],
            ["dense_1/kernel", "dense_1/bias"],
        ),
        (["[0][0]", "[0][1]", "[1][0]", "[1][1]"], ["[1][0]", "[1][1]"]),
        (
            ["layers[0].weight", "layers[1].weight", "layers[1].bias"],
            ["layers[1].weight", "layers[1].bias"],
        ),
        (
            ["weight_net.0.weight", "weight_net.1.weight", "weight_net.1.bias"],
            ["weight_net.1.weight", "weight_net.1.bias"],
        ),
    ],
)
def test_the_last_layer_is_found_by_its_names(names: list[str], last: list[str]) -> None:
    class Named:
        name = "named"

        def parameter_names(self) -> dict[str, int]:
            return dict.fromkeys(names, 1)

        def select(self, chosen: Any, /) -> Any:
            return self

    assert last_layer(Named()) == last  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"first_chain": 2**63},
        {"chains": 2**63},
        {"snapshots": 2**31},
        {"steps_per_snapshot": 10**400},
        {"batch_size": 2**70},
        {"keep": 2**40},
        {"seed": 2**63},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_numbers_that_no_run_can_have(settings: dict[str, int]) -> None:
    (name,) = settings
    with pytest.raises(
        InvalidSettingError, match=rf"^{name} is .*whole number from \d to \d+"
    ) as e:
        gx.GEX(**settings)  # type: ignore[arg-type]
    assert len(str(e.value)) < 120
