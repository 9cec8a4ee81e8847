"""Parameters by name, and checkpoints."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gexcore.backend.capabilities import supports
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsKronecker, SupportsSize
from gexcore.ensembles.heavy import HEAVY, multiplications
from gexcore.errors import InvalidModelError, InvalidSettingError
from gexcore.evaluation.opening import opened
from gexcore_torch.backend import TorchBackend

X = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
BATCH = (X, np.arange(8) % 3)


def network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))


NAMES = {"0.weight": 20, "0.bias": 4, "1.weight": 4, "1.bias": 4, "3.weight": 12, "3.bias": 3}


class TestSelection:
    def test_names_are_of_what_is_trainable_and_tied_ones_come_once(self) -> None:
        model = network()
        assert list(TorchBackend(model).parameter_names().items()) == list(NAMES.items())
        model[1].requires_grad_(False)
        model.append(nn.Linear(4, 3))
        model[4].weight = model[3].weight
        rest = {name: size for name, size in NAMES.items() if not name.startswith("1.")}
        assert TorchBackend(model).parameter_names() == {**rest, "4.bias": 3}

    def test_frozen_parameters_count_in_the_size_and_statistics_do_not(self) -> None:
        model = network()
        assert TorchBackend(model).model_size() == sum(NAMES.values())
        model[0].requires_grad_(False)
        backend = TorchBackend(model)
        assert sum(backend.parameter_names().values()) < sum(NAMES.values())
        assert backend.model_size() == sum(NAMES.values())
        assert backend.select({"3.bias"}).model_size() == sum(NAMES.values())
        model.append(nn.Linear(4, 3))
        model[4].weight = model[3].weight
        assert TorchBackend(model).model_size() == sum(NAMES.values()) + 3

    def test_a_model_with_a_frozen_body_is_as_heavy_as_a_trained_one(self) -> None:
        model = nn.Sequential(nn.Linear(64, 4000), nn.ReLU(), nn.Linear(4000, 4))
        data = np.zeros((640, 64), np.float32), np.arange(640) % 4
        trained = multiplications(opened(model, data, progress=False), 128)
        model[0].requires_grad_(False)
        given = opened(model, data, progress=False)
        assert multiplications(given, 128) == trained >= HEAVY
        # without the size of the model only the head counts
        given.backend.unsupported |= {SupportsSize}
        assert multiplications(given, 128) == 16_004 * 128 < HEAVY

    def test_the_users_model_and_the_first_backend_stay(self) -> None:
        model = network()
        model[1].bias.requires_grad_(False)
        before, trained = (
            copy.deepcopy(model.state_dict()),
            [p.requires_grad for p in model.parameters()],
        )
        backend = TorchBackend(model)
        selected = backend.select({"3.weight", "0.bias"})
        state = selected.sgd_step(selected.initial_state(), BATCH, lr=0.5, seed=0)
        assert [tuple(p.shape) for p in state.params] == [(4,), (3, 4)]
        assert [p.requires_grad for p in model.parameters()] == trained
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert len(backend.parameter_names()) == 5
        after = backend.sgd_step(backend.initial_state(), BATCH, lr=0.5, seed=0)
        again = TorchBackend(model)
        expected = again.sgd_step(again.initial_state(), BATCH, lr=0.5, seed=0)
        assert torch.equal(backend.ravel(after), again.ravel(expected))

    def test_loss_and_optimizer_are_kept(self) -> None:
        made: list[int] = []

        def optimizer(params: Any) -> torch.optim.Optimizer:
            made.append(len(params))
            return torch.optim.Adagrad(params)

        backend = TorchBackend(network(), loss="squared_error", optimizer=Optimizer(name=optimizer))
        selected = backend.select(["3.weight"])
        batch = X, np.zeros((8, 3))
        assert torch.equal(
            selected.forward(selected.initial_state(), batch),
            backend.forward(backend.initial_state(), batch),
        )
        assert made[-1] == 1

    def test_what_is_not_chosen_takes_no_memory(self) -> None:
        backend = TorchBackend(network())
        selected = backend.select(["3.bias"])
        shared = {p.data_ptr() for p in backend._program.template.parameters()}
        apart = [
            name
            for name, p in selected._program.template.named_parameters()
            if p.data_ptr() not in shared
        ]
        assert apart == ["3.bias"]

    def test_capabilities_are_those_of_what_is_left(self) -> None:
        selected = TorchBackend(network()).select(["3.bias"])
        assert not supports(selected, SupportsKronecker)
        assert selected.kronecker(selected.initial_state(), BATCH, seed=None) == []

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (
                [],
                r"no parameters were chosen; choose from '0.weight', '0.bias', "
                r"'1.weight'",
            ),
            (
                ["3.bias", "head"],
                "no trainable parameter is named 'head'; choose from '0.weight', '0.bias'",
            ),
            (["1.bias"], "no trainable parameter is named '1.bias'"),
        ],
    )
    def test_wrong_names_are_refused(self, names: list[str], message: str) -> None:
        model = network()
        model[1].bias.requires_grad_(False)
        with pytest.raises(InvalidSettingError, match=message):
            TorchBackend(model).select(names)


class TestCheckpoints:
    @pytest.mark.parametrize(
        "form",
        [
            lambda m: m,
            nn.DataParallel,
            lambda m: m.state_dict(),
            lambda m: {name: value.double() for name, value in m.state_dict().items()},
            lambda m: reread(m.state_dict()),
        ],
    )
    def test_parameters_and_buffers_are_those_of_the_checkpoint(
        self, form: Callable[[nn.Module], Any]
    ) -> None:
        other = network(1)
        other(torch.from_numpy(X))
        twin = TorchBackend(other)
        expected = twin.forward(twin.initial_state(), BATCH)
        backend = TorchBackend(network())
        state = backend.load(form(other))
        assert torch.equal(backend.forward(state, BATCH), expected)
        assert state.moments is None
        stepped = backend.sgd_step(state, BATCH, lr=0.1, seed=0)
        assert not torch.equal(backend.forward(stepped, BATCH), expected)
        assert torch.equal(backend.forward(state, BATCH), expected)
        with torch.no_grad():
            for tensor in (*other.parameters(), *other.buffers()):
                tensor.zero_()
        assert torch.equal(backend.forward(state, BATCH), expected)

    def test_frozen_parameters_come_along_and_go_again(self) -> None:
        whole, other = TorchBackend(network()), network(1)
        selected = whole.select(["3.weight"])
        states = [selected.initial_state(), selected.load(other)]
        expected = [whole.forward(s, BATCH) for s in (whole.initial_state(), whole.load(other))]
        for i in (0, 1, 1, 0):
            assert torch.equal(selected.forward(states[i], BATCH), expected[i])
        once = whole.sgd_step(whole.load(other), BATCH, lr=0.0, seed=0)
        for derived in (
            selected.restart(states[1]),
            selected.copy(states[1]),
            selected.unravel(states[1], selected.ravel(states[1])),
        ):
            assert torch.equal(selected.forward(derived, BATCH), expected[1])
        moved = selected.sgd_step(
            selected.sgd_step(states[1], BATCH, lr=0.0, seed=0), BATCH, lr=0.0, seed=0
        )
        refreshed = selected.refresh_buffers(moved, [BATCH])
        assert torch.equal(
            selected.forward(refreshed, BATCH),
            whole.forward(whole.refresh_buffers(once, [BATCH]), BATCH),
        )

    def test_a_frozen_base_that_is_the_same_is_shared(self) -> None:
        backend = TorchBackend(network()).select(["3.weight"])
        changed = network().state_dict()
        changed["0.bias"] = changed["0.bias"] + 1
        ours = {
            name: p.data_ptr()
            for name, p in backend._program.template.named_parameters()
            if not p.requires_grad
        }
        fixed = backend.load(changed).fixed or ()
        shared = [
            name for (name, ptr), p in zip(ours.items(), fixed, strict=True) if p.data_ptr() == ptr
        ]
        assert shared == ["0.weight", "1.weight", "1.bias", "3.bias"]

    @pytest.mark.parametrize("given", ["model.pt", Path("model.pt"), b"PK", io.BytesIO(), None])
    def test_files_are_not_read(self, given: Any) -> None:
        with pytest.raises(
            InvalidModelError,
            match=f"a checkpoint of type {type(given).__name__} was given; files are not read "
            "here: .*weights_only=True",
        ):
            TorchBackend(network()).load(given)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (nn.Linear(5, 3),
                r"does not fit Sequential \(Missing key\(s\) in state_dict: .0.weight., .*same "
r"architecture"),
            ({**network().state_dict(), "head": X},
                r"\(Unexpected key\(s\) in state_dict: .head.\); give the state"),
            ({**network().state_dict(), "3.bias": torch.zeros(4)},
                r"\(size mismatch for 3.bias: copying a param"),
            ({"model": nn.Linear(5, 3).state_dict(), "epoch": 3}, r"Missing key\(s\)"),
            ({**network().state_dict(), "3.bias": "zero"},
                r"does not fit Sequential \(While copying .*3.bias"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit_is_refused_in_one_sentence(self, given: Any, message: str) -> None:
        with pytest.raises(InvalidModelError, match=message) as caught:
            TorchBackend(network()).load(given)
        assert "\n" not in str(caught.value)


def reread(values: Any) -> Any:
    """As from a file."""
    file = io.BytesIO()
    torch.save(values, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
