"""Any executor gives the bits of a serial run, whatever dies, and the model is carried once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.ensembles.executors import completed
from gexcore.errors import InvalidModelError, MissingCapabilityError, WorkerLostError
from gexcore_numpy import MLP, NumpyBackend
from tests.store.same import TEST, assert_same

SETTINGS: dict[str, Any] = {
    "chains": 4,
    "snapshots": 16,
    "steps_per_snapshot": 8,
    "batch_size": 16,
    "keep": 2,
    "weight_decay": 0.0,  # as the backends have it that tests put in the place of the model
}


def fit(problem: tuple[MLP, Any], method: Any = None, **how: Any) -> gx.LossInfluence:
    model, data = problem
    found: gx.LossInfluence = (method or gx.GEX(**SETTINGS)).fit(model, data, progress=False, **how)
    return found


@pytest.fixture(scope="module")
def serial(problem: Any) -> gx.LossInfluence:
    found = fit(problem)
    assert len(found.table) > 4
    return found


@contextmanager
def spawned() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@contextmanager
def loky() -> Iterator[Executor]:
    from loky import get_reusable_executor

    pool = get_reusable_executor(2)
    yield pool
    pool.shutdown(wait=True)


POOLS: dict[str, Callable[[], Any]] = {
    "threads": lambda: ThreadPoolExecutor(3),
    "spawned": spawned,
    "loky": loky,
}


@pytest.mark.parametrize("pool", POOLS)
def test_every_executor_gives_the_serial_bits(
    problem: Any, serial: gx.LossInfluence, pool: str
) -> None:
    with POOLS[pool]() as executor:
        assert_same(fit(problem, executor=executor), serial)
        # never shut down by the fit
        assert executor.submit(int, "7").result() == 7


def test_tests_and_linear_deviations_come_back_as_well(problem: Any) -> None:
    lin = gx.GEXLin(chains=2, snapshots=3, lr=0.05, steps_per_snapshot=4, batch_size=16)
    with ThreadPoolExecutor(2) as executor:
        one, other = (fit(problem, test=TEST, **how) for how in ({}, {"executor": executor}))
        np.testing.assert_array_equal(one.influence(), other.influence())
        a, b = (fit(problem, lin, test=TEST, **how) for how in ({}, {"executor": executor}))
        np.testing.assert_array_equal(a.influence(), b.influence())


def _retrained(data: Any, start: MLP | None, seed: int) -> MLP:
    backend = NumpyBackend(start or MLP.init((5, 4, 3), seed=0))
    return backend.to_model(backend.sgd_step(backend.initial_state(), data, lr=0.1, seed=seed))


def test_retraining_in_processes(problem: Any) -> None:
    loo = gx.LOO(train=_retrained, indices=[1, 5, 7], repeats=2)
    expected = fit(problem, loo)
    with spawned() as executor:
        found = fit(problem, loo, executor=executor)
    np.testing.assert_array_equal(found.influence(), expected.influence())
    np.testing.assert_array_equal(found.self_influence(), expected.self_influence())


class Backwards(Executor):
    """Runs what it was given in the reverse order, in one go, in a thread of its own."""

    def __init__(self) -> None:
        self.tasks: list[tuple[Future[Any], Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.tasks.append((future, lambda: fn(*args, **kwargs)))
        if len(self.tasks) == SETTINGS["chains"]:
            threading.Thread(target=self._work).start()
        return future

    def _work(self) -> None:
        for future, task in reversed(self.tasks):
            future.set_running_or_notify_cancel()
            future.set_result(task())


def test_the_order_of_completion_does_not_matter(problem: Any, serial: gx.LossInfluence) -> None:
    assert_same(fit(problem, executor=Backwards()), serial)


class Heavy:
    """Counts how often it is made anew from a pickle, by a file for each time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return _heavy, (self.folder,)


def _heavy(folder: Path) -> Heavy:
    (folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
    return Heavy(folder)


class Squares:
    """A task that carries something heavy."""

    def __init__(self, heavy: Heavy) -> None:
        self.heavy = heavy

    def __call__(self) -> Callable[[int], int]:
        return lambda n: n * n


def test_a_worker_is_sent_the_model_once(tmp_path: Path) -> None:
    with spawned() as executor:
        found = set(completed(executor, lambda n: -1, Squares(Heavy(tmp_path)), range(12)))
    assert found == {n * n for n in range(12)}
    pids = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert 1 <= len(pids) == len(set(pids)) <= 2


def test_a_machine_without_the_file_is_sent_the_parcel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(ThreadPoolExecutor):
        """Takes every path for one that this machine does not have."""

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            ticket, number = args
            return super().submit(fn, ticket._replace(run="other" + ticket.run, path=""), number)

    with Elsewhere(1) as executor:
        assert set(completed(executor, lambda n: -1, Squares(Heavy(tmp_path)), range(3))) == {
            0,
            1,
            4,
        }
    assert len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_pickled_is_told(problem: Any, serial: gx.LossInfluence) -> None:
    class Locked(MLP):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            object.__setattr__(self, "lock", threading.Lock())

    model, data = problem
    locked = Locked(model.weights, model.biases, model.activation, model.batch_norm)
    with (
        spawned() as executor,
        pytest.raises(InvalidModelError, match=r"gexcore\.Factory\(function\).*use threads"),
    ):
        fit((locked, data), executor=executor)
    with ThreadPoolExecutor(2) as threads:
        assert_same(fit((locked, data), executor=threads), serial)


def _problem_part(part: int) -> Any:
    from gexcore.testing.problems import TOYS

    toy = TOYS["softmax"]
    return toy.model if part == 0 else (toy.x, toy.y)


def test_a_factory_makes_model_and_data_in_the_worker() -> None:
    parts = gx.Factory(_problem_part, 0), gx.Factory(_problem_part, 1)
    method = gx.GEX(chains=2, snapshots=2, lr=0.1, steps_per_snapshot=2, batch_size=8)
    with spawned() as executor:
        found = fit(parts, method, executor=executor)  # type: ignore[arg-type]
    expected = fit((_problem_part(0), _problem_part(1)), method)
    np.testing.assert_array_equal(found.losses, expected.losses)


def test_states_that_cannot_leave_the_process_are_refused(problem: Any) -> None:
    class Plain(NumpyBackend):
        to_arrays = None  # type: ignore[assignment]

    model, data = problem
    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(MissingCapabilityError, match="keep=0"):
            fit((Plain(model), data), executor=executor)
        method = gx.GEX(**{**SETTINGS, "keep": 0})
        np.testing.assert_array_equal(
            fit((Plain(model), data), method, executor=executor).losses,
            fit((model, data), method).losses,
        )


class Deadly(MLP):
    """Kills the process that unpickles it."""

    def __reduce__(self) -> Any:
        return os.kill, (_Pid(), signal.SIGKILL)


class _Pid:
    def __reduce__(self) -> Any:
        return os.getpid, ()


def test_a_dead_worker_is_told_in_a_sentence(problem: Any) -> None:
    model, data = problem
    deadly = Deadly(model.weights, model.biases, model.activation, model.batch_norm)
    with spawned() as executor, pytest.raises(WorkerLostError, match=r"a worker died.*with store="):
        fit((deadly, data), executor=executor)
