"""Stores: what was done is never done twice nor trusted unseen, whatever happens to process, disk
or files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import gexcore as gx
from gexcore.backend.data import ArrayDataset
from gexcore.ensembles.chain import Snapshot
from gexcore.errors import (
    InvalidSettingError,
    MissingCapabilityError,
    StoreError,
    StoreMismatchError,
)
from gexcore.store import chains as chains_module
from gexcore.store import merge_stores
from gexcore.store.record import Record, decoded, sealed
from gexcore.store.table import Rows
from gexcore_numpy import NumpyBackend
from tests.store.same import TEST, assert_same

SETTINGS: dict[str, Any] = {
    "chains": 2,
    "snapshots": 14,
    "steps_per_snapshot": 8,
    "batch_size": 16,
    "keep": 2,
    "weight_decay": 0.0,  # as the backends have it that tests put in the place of the model
}


@pytest.fixture(autouse=True, scope="module")
def store_every_snapshot() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chains_module, "SHARE", 1e9)
        yield


def fit(problem: tuple[Any, Any], store: Any = None, method: Any = None, **how: Any) -> Any:
    model, data = problem
    return (method or gx.GEX(**SETTINGS)).fit(model, data, store=store, progress=False, **how)


@pytest.fixture(scope="module")
def expected(problem: Any) -> Any:
    found = fit(problem)
    assert len(found.table) > 4
    return found


class Stop(Exception):  # noqa: N818
    pass


class Stepping(ArrayDataset):
    """Stops a run after so many batches."""

    left = 10**9

    def batch(self, indices: Any, /) -> Any:
        self.left -= 1
        if not self.left:
            raise Stop
        return super().batch(indices)


class Counted(NumpyBackend):
    """Counts its steps, and may stop the run at one of them."""

    steps = 0
    last: int | None = None

    def sgd_step_(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
        if self.steps == self.last:
            raise Stop
        self.steps += 1
        return super().sgd_step_(state, batch, lr=lr, seed=seed)


def stopped(problem: Any, store: Any, at: int, method: Any = None, **how: Any) -> None:
    backend = Counted(problem[0])
    backend.last = at
    with pytest.raises(Stop):
        fit((backend, problem[1]), store, method, **how)


def chunks(found: Any, *chains: int) -> list[int]:
    """Steps before each snapshot of these chains: fewer while a chain is heated."""
    plan = found.run.plan
    return [
        plan.warmup_steps if s.warmup else plan.steps
        for s in found.run.snapshots
        if s.chain in chains
    ]


@pytest.mark.parametrize("where", ["folder", "url"])
def test_a_stopped_run_goes_on_where_it_was(
    problem: Any, expected: Any, where: str, tmp_path: Path
) -> None:
    store = tmp_path / "run.zarr" if where == "folder" else f"memory://{uuid.uuid4().hex}/run.zarr"
    ends = np.cumsum([0, *chunks(expected, 0, 1)])
    done = 0
    for at in (
        5,
        50,
        60,
        60,
    ):  # in the second chunk, within a chain, and again, and into the second
        stopped(problem, store, at)
        done = int(ends[ends <= done + at].max())
    assert done > sum(chunks(expected, 0))
    backend = Counted(problem[0])
    # steps are counted before the comparison, whose influence steps all members again
    found = fit((backend, problem[1]), store)
    assert backend.steps == ends[-1] - done, "a snapshot was done twice"
    assert_same(found, expected)
    finished = Counted(problem[0])
    found = fit((finished, problem[1]), store)
    assert finished.steps == 0
    assert_same(found, expected)


@pytest.mark.parametrize(
    "settings",
    [
        {"scoring": "training_batches"},
        {"lr": 0.05, "optimizer": "adamw"},
        {"lr": gx.Cosine(0.1, 8), "chains": 3, "snapshots": 1},
        {"lr": 5.0},
        {"parameters": "*1", "lr": 0.1},
    ],
    ids=["training_batches", "adamw", "paper", "melting", "parameters"],
)
def test_every_kind_of_run_resumes_to_the_bit(
    problem: Any, settings: dict[str, Any], tmp_path: Path
) -> None:
    method = gx.GEX(**{**SETTINGS, "snapshots": 8, **settings})
    whole = fit(problem, method=method, test=TEST)
    data = Stepping(*problem[1])
    data.left = method.chains * method.snapshots * 8 // 2 + 3 + 16
    with pytest.raises(Stop):
        fit((problem[0], data), tmp_path / "s", method, test=TEST)
    data.left = 10**9
    found = fit((problem[0], data), tmp_path / "s", method, test=TEST)
    np.testing.assert_array_equal(found.losses, whole.losses)
    assert found.run.snapshots == whole.run.snapshots
    if len(found.table):
        np.testing.assert_array_equal(found.influence(), whole.influence())


def test_linear_deviations_resume(problem: Any, tmp_path: Path) -> None:
    method = gx.GEXLin(chains=2, snapshots=4, lr=0.05, steps_per_snapshot=4, batch_size=16)
    stopped(problem, tmp_path / "s", 22, method)
    found, whole = fit(problem, tmp_path / "s", method), fit(problem, method=method)
    np.testing.assert_array_equal(found.influence(TEST), whole.influence(TEST))


def test_an_executor_takes_what_is_there_and_stores_the_rest(
    problem: Any, expected: Any, tmp_path: Path
) -> None:
    stopped(problem, tmp_path / "s", sum(chunks(expected, 0)) + 30)
    with ThreadPoolExecutor(2) as executor:
        backend = Counted(problem[0])
        found = fit((backend, problem[1]), tmp_path / "s", executor=executor)
        assert backend.steps == sum(chunks(expected, 1))
        assert_same(found, expected)
    assert_same(fit(problem, tmp_path / "s"), expected)


def test_xarray_opens_it(problem: Any, expected: Any, tmp_path: Path) -> None:
    fit(problem, tmp_path / "s.zarr", test=TEST)
    with xr.open_zarr(tmp_path / "s.zarr", consolidated=False, chunks=None) as table:
        assert table.losses.dims == ("member", "sample")
        plan = expected.run.plan
        assert dict(table.sizes) == {"member": 2 * plan.most_snapshots, "sample": 60, "test": 4}
        member = table.status.values == table.status.attrs["flag_meanings"].split().index("member")
        np.testing.assert_array_equal(table.losses.values[member], expected.losses)
        np.testing.assert_array_equal(table.base_losses.values, expected.base_losses)
        np.testing.assert_array_equal(table.chain.values[member], expected.table.chains)
        rows = [s.chain * plan.most_snapshots + s.number for s in expected.run.snapshots]
        np.testing.assert_array_equal(table.lr.values[rows], [s.lr for s in expected.run.snapshots])


def test_more_chains_leave_the_first_alone(problem: Any, tmp_path: Path) -> None:
    fit(problem, tmp_path / "s")
    more = gx.GEX(**{**SETTINGS, "chains": 4})
    backend = Counted(problem[0])
    found = fit((backend, problem[1]), tmp_path / "s", more)
    assert backend.steps == sum(chunks(found, 2, 3))
    assert_same(found, fit(problem, method=more))
    fewer = fit(problem, tmp_path / "s")
    assert set(fewer.table.chains) == {0, 1}


def test_stores_of_one_plan_are_merged(problem: Any, tmp_path: Path) -> None:
    fit(problem, tmp_path / "two")
    rest = fit(problem, tmp_path / "rest", gx.GEX(**SETTINGS, first_chain=2))
    assert {s.chain for s in rest.run.snapshots} == {2, 3}
    assert merge_stores(tmp_path / "all", tmp_path / "two", tmp_path / "rest") == [0, 1, 2, 3]
    assert merge_stores(tmp_path / "all", tmp_path / "two") == []
    backend = Counted(problem[0])
    method = gx.GEX(**{**SETTINGS, "chains": 4})
    found = fit((backend, problem[1]), tmp_path / "all", method)
    assert backend.steps == 0
    assert_same(found, fit(problem, method=method))
    far = gx.GEX(**{**SETTINGS, "chains": 1, "first_chain": 10_000})
    fit(problem, tmp_path / "far", far)
    assert merge_stores(tmp_path / "all", tmp_path / "far") == [10_000]
    again = Counted(problem[0])
    fit((again, problem[1]), tmp_path / "all", far)
    assert again.steps == 0
    fit(problem, tmp_path / "other", gx.GEX(**{**SETTINGS, "seed": 1}))
    with pytest.raises(StoreMismatchError, match="differs in seed"):
        merge_stores(tmp_path / "all", tmp_path / "other")
    with pytest.raises(StoreMismatchError, match="is no store"):
        merge_stores(tmp_path / "all", tmp_path / "nowhere")


CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "data": lambda model, data: ((model, (data[0] + 1e-9, data[1])), {}),
    "targets": lambda model, data: ((model, (data[0], np.roll(data[1], 1))), {}),
    "θ\\*": lambda model, data: ((NumpyBackend(model).to_model(
        NumpyBackend(model).sgd_step(NumpyBackend(model).initial_state(), data, lr=1e-6, seed=0)),
            data), {}),
    "steps": lambda model, data: ((model, data), {"steps_per_snapshot": 9}),
    "lr": lambda model, data: ((model, data), {"lr": 0.1}),
    "keep": lambda model, data: ((model, data), {"keep": 3}),
    "optimizer": lambda model, data: ((model, data), {"momentum": 0.5}),
    "parameters": lambda model, data: ((model, data), {"parameters": "weight1"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def begun(problem: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("begun") / "s"
    stopped(problem, where, 162)
    return where


@pytest.mark.parametrize("field", CHANGES)
def test_a_store_of_another_run_is_refused_by_name(problem: Any, begun: Path, field: str) -> None:
    other, settings = CHANGES[field](*problem)
    with pytest.raises(
        StoreMismatchError,
        match=rf"holds another run, which differs in .*{field}.*; choose another",
    ):
        fit(other, begun, gx.GEX(**{**SETTINGS, **settings}))


def test_versions_and_formats_are_compared(problem: Any, tmp_path: Path) -> None:
    stopped(problem, tmp_path / "s", 40)
    path = tmp_path / "s" / "zarr.json"
    meta = json.loads(path.read_text())
    run = meta["attributes"]["gexcore"]["run"]["content"]
    meta["attributes"]["gexcore"]["run"] = json.loads(sealed({**run, "numpy": "1.0"}))
    path.write_text(json.dumps(meta))
    with pytest.raises(StoreMismatchError, match=r"differs in numpy \(1\.0, now"):
        fit(problem, tmp_path / "s")
    meta["attributes"]["gexcore"]["format"] = 4
    path.write_text(json.dumps(meta))
    with pytest.raises(
        StoreMismatchError,
        match=r"newer gexcore \(format 4, and this one reads 3\); update gexcore",
    ):
        fit(problem, tmp_path / "s")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def row_of_a_member(store: Path) -> Path:
    return max((store / "losses" / "c").glob("*/0"), key=lambda path: int(path.parent.name))


VICTIMS: dict[str, Callable[[Path], Path]] = {
    "row": row_of_a_member,
    "state": lambda store: next((store / "checkpoints").glob("state-*")),
    "member": lambda store: next((store / "checkpoints").glob("member-*")),
    "record": lambda store: store / "checkpoints" / "chain-0000.json",
    "base": lambda store: store / "checkpoints" / "base.json",
    "base losses": lambda store: store / "base_losses" / "c" / "0",
    "array": lambda store: store / "losses" / "zarr.json",
    "group": lambda store: store / "zarr.json",
}


# without a record there is nothing that the rest could be compared with
@pytest.mark.parametrize(
    ("victim", "damage"),
    [
        (victim, damage)
        for victim in VICTIMS
        for damage in (flip, truncate, Path.unlink)
        if not (victim in ("record", "base", "group") and damage is Path.unlink)
    ],
)
def test_damage_is_told_and_not_trusted(
    problem: Any, begun: Path, tmp_path: Path, victim: str, damage: Any
) -> None:
    store = tmp_path / "s"
    subprocess.run(["cp", "-r", begun, store], check=True)
    damage(VICTIMS[victim](store))
    before = {
        path: path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and path.name not in ("writer", ".lock")
    }
    with pytest.raises(StoreError, match=r"damaged.*put a copy back, or "):
        fit(problem, store)
    after = {
        path: path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and path.name not in ("writer", ".lock")
    }
    assert after == before, "a damaged store was changed"


@pytest.mark.parametrize(
    ("of", "source"),
    [("snapshot", "."), ("lr", "losses"), ("losses", "lr"), ("status", "chain"), ("losses", ".")],
)
def test_metadata_of_another_array_are_told(
    problem: Any, begun: Path, tmp_path: Path, of: str, source: str
) -> None:
    store = tmp_path / "s"
    subprocess.run(["cp", "-r", begun, store], check=True)
    (store / of / "zarr.json").write_bytes((store / source / "zarr.json").read_bytes())
    with pytest.raises(StoreError, match=rf"damaged: its array {of} cannot be opened; put a copy"):
        fit(problem, store)


def test_a_record_comes_back_as_it_was() -> None:
    snapshots = [
        Snapshot(3, k, 0.1 * k, 1 / 3, 1e300, "member" if k % 2 else "cold", k < 4, True, 0.5)
        for k in range(30)
    ]
    rows = ["d"] * 15
    record = Record(3, snapshots, rows, rows, {row: str(row) for row in (0, 2, 10, 14)}, "s")
    assert decoded(record.encoded(), 3, "here") == record
    lost = Snapshot(3, 0, 0.1, float("nan"), float("inf"), "diverged", False, False, 0.0)
    unknown = Record(3, [lost])
    (back,) = decoded(unknown.encoded(), 3, "here").snapshots
    assert str(back) == str(lost)
    for other in (record.encoded().replace(b"0.1", b"0.2"), record.encoded()[:-9], b"[]", b""):
        with pytest.raises(StoreError, match="damaged"):
            decoded(other, 3, "here")
    with pytest.raises(StoreError, match="damaged"):
        decoded(record.encoded(), 4, "here")


def test_a_damaged_chain_can_be_run_again(problem: Any, expected: Any, tmp_path: Path) -> None:
    fit(problem, tmp_path / "s")
    flip(row_of_a_member(tmp_path / "s"))
    with pytest.raises(StoreError, match=r"chain-0001\.json to run that chain again"):
        fit(problem, tmp_path / "s")
    (tmp_path / "s" / "checkpoints" / "chain-0001.json").unlink()
    assert_same(fit(problem, tmp_path / "s"), expected)


def test_two_writers_do_not_meet(problem: Any, expected: Any, tmp_path: Path) -> None:
    second: list[Exception] = []

    class Intruded(Counted):
        def sgd_step_(self, state: Any, batch: Any, /, **how: Any) -> Any:
            if self.steps == 30 and not second:
                with pytest.raises(StoreError) as caught:
                    fit(problem, tmp_path / "s")
                second.append(caught.value)
            return super().sgd_step_(state, batch, **how)

    assert_same(fit((Intruded(problem[0]), problem[1]), tmp_path / "s"), expected)
    assert f"is being written to by process {os.getpid()} on" in str(second[0])


def test_of_two_writers_to_a_url_the_later_goes_on(problem: Any, expected: Any) -> None:
    url = f"memory://{uuid.uuid4().hex}/s"

    class Overtaken(Counted):
        done = False

        def sgd_step_(self, state: Any, batch: Any, /, **how: Any) -> Any:
            if self.steps == 30 and not Overtaken.done:
                Overtaken.done = True
                assert_same(fit(problem, url), expected)
            return super().sgd_step_(state, batch, **how)

    with pytest.raises(
        StoreError, match=r"another run has begun to write .* what it stored is safe"
    ):
        fit((Overtaken(problem[0]), problem[1]), url)
    assert_same(fit(problem, url), expected)


def test_places_with_something_else_are_refused(problem: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file; store= names a folder"):
        fit(problem, tmp_path / "file")
    with pytest.raises(StoreMismatchError, match="is not empty and holds no run"):
        fit(problem, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    xr.Dataset({"a": ("x", [1])}).to_zarr(tmp_path / "zarr", zarr_format=3, consolidated=False)
    with pytest.raises(StoreMismatchError, match="that gexcore did not make"):
        fit(problem, tmp_path / "zarr")
    with pytest.raises(StoreError, match="cannot be opened"):
        fit(problem, "nosuch://place")


@pytest.mark.parametrize("where", ["", "a\0b", b"bytes", 5, ["s"]])
def test_what_is_no_place_is_one_sentence(problem: Any, where: Any) -> None:
    with pytest.raises(InvalidSettingError, match="must be the path of a folder, or a URL such as"):
        fit(problem, where)


def test_paths_do_not_lead_out(problem: Any, begun: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", begun, tmp_path / "s"], check=True)
    outside = tmp_path / "outside"
    (tmp_path / "s" / "losses").rename(outside)
    (tmp_path / "s" / "losses").symlink_to(outside)
    with pytest.raises(StoreError, match="must not lead out of its folder"):
        fit(problem, tmp_path / "s")


@pytest.mark.parametrize("name", ["losses", "losses/c", "status", "checkpoints"])
def test_nothing_is_written_through_a_link_that_appears_during_a_run(
    problem: Any, expected: Any, tmp_path: Path, name: str
) -> None:
    inside, outside = tmp_path / "s" / name, tmp_path / "outside"
    before: dict[str, bytes] = {}

    class Planted(Counted):
        def sgd_step_(self, state: Any, batch: Any, /, **how: Any) -> Any:
            if inside.exists() and self.steps >= 60 and not before:
                inside.rename(outside)
                inside.symlink_to(outside)
                before.update(content_of(outside))
            return super().sgd_step_(state, batch, **how)

    with pytest.raises(StoreError, match=f"{name} is a link, and a store must not lead out of"):
        fit((Planted(problem[0]), problem[1]), tmp_path / "s")
    assert content_of(outside) == before != {}
    inside.unlink()
    outside.rename(inside)
    assert_same(fit(problem, tmp_path / "s"), expected)


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_backend_without_arrays_resumes_by_chains(problem: Any, tmp_path: Path) -> None:
    class Plain(Counted):
        to_arrays = None  # type: ignore[assignment]

    method = gx.GEX(**{**SETTINGS, "keep": 0})
    with pytest.raises(
        MissingCapabilityError, match=r"store= takes the states of 2 members.*keep=0"
    ):
        fit((Plain(problem[0]), problem[1]), tmp_path / "s")
    whole = fit(problem, method=method)
    backend = Plain(problem[0])
    backend.last = sum(chunks(whole, 0)) + 30
    with pytest.raises(Stop):
        fit((backend, problem[1]), tmp_path / "s", method)
    again = Plain(problem[0])
    found = fit((again, problem[1]), tmp_path / "s", method)
    np.testing.assert_array_equal(found.losses, whole.losses)
    assert again.steps == sum(chunks(whole, 1))


LIMITED = """
import ctypes, resource, sys
sys.path.insert(0, sys.argv[2])
import numpy as np
import gexcore as gx
from tests.conftest import train_for_workers
from gexcore.backend.data import ArrayDataset
from gexcore.errors import StoreError
import gexcore.store.chains
gexcore.store.chains.SHARE = 1e9
model, data = train_for_workers()
method = gx.GEX(
    chains=2, snapshots=14, steps_per_snapshot=8, batch_size=16, keep=2, weight_decay=0.0
)
if sys.argv[3] == "unprivileged":
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    rights = (ctypes.c_uint32 * 6)()
    assert not libc.capget(header, rights)
    rights[0] &= ~2  # CAP_DAC_OVERRIDE, by which root may write anywhere
    assert not libc.capset(header, rights)
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    method.fit(model, data, store=sys.argv[1], progress=False)
except StoreError as error:
    print(error)
"""


def in_a_process(store: Path, limit: str) -> str:
    # compiles nothing: Python would leave modules cut off at the limit for those that come after
    done = subprocess.run(
        [sys.executable, "-B", "-P", "-c", LIMITED, str(store), str(Path(__file__).parents[2]),
            limit],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_full_disk_loses_nothing(problem: Any, expected: Any, tmp_path: Path) -> None:
    store = tmp_path / "s"
    stopped(problem, store, 60)
    # less than the state of the chain takes
    said = in_a_process(store, "2000")
    assert said.startswith(f"{store}/checkpoints/state-")
    assert said.rstrip().endswith(
        "cannot be written (File too large); make room, then run the same again"
    )
    backend = Counted(problem[0])
    found = fit((backend, problem[1]), store)
    assert backend.steps <= sum(chunks(expected, 0, 1)) - 52
    assert_same(found, expected)
    assert not list(store.rglob("*.part"))


@pytest.mark.skipif(
    sys.platform != "linux", reason="the test gives up the rights of root in Linux's way"
)
def test_a_folder_without_write_access(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    said = in_a_process(tmp_path / "s", "unprivileged")
    tmp_path.chmod(0o755)
    assert said.startswith(f"{tmp_path / 's'} cannot be read or written (Permission denied)")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("form", ["file://{}", "local://{}", "simplecache::file://{}"])
def test_a_url_of_this_machine_is_its_folder(
    problem: Any, expected: Any, tmp_path: Path, form: str
) -> None:
    stopped(problem, form.format(tmp_path / "s"), 60)
    assert (tmp_path / "s" / "zarr.json").is_file()
    assert_same(fit(problem, tmp_path / "s"), expected)
    assert merge_stores(form.format(tmp_path / "all"), form.format(tmp_path / "s")) == [0, 1]


@pytest.mark.parametrize(
    "url",
    ["dir::file://{}", "zip://in::file://{}.zip", "zip://{}.zip", "dir://{}", "reference://{}"],
)
def test_urls_that_cannot_be_stores_are_one_sentence(
    problem: Any, tmp_path: Path, url: str
) -> None:
    with pytest.raises(
        StoreError, match=r"cannot be opened \(.*\); give a folder, or the URL"
    ) as e:
        fit(problem, url.format(tmp_path / "s"))
    assert "\n" not in str(e.value)


def test_a_second_start_of_a_run_makes_no_array_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a URL another run may just read them."""
    import zarr

    url = f"memory://{uuid.uuid4().hex}/s"
    columns = {"base_losses": np.zeros(5), "label": np.arange(5)}
    first = Rows(url, most=3)
    first.start(columns, chains=2, tests=4)
    made: list[str] = []
    create = zarr.Group.create_array

    def counted(group: Any, name: str, **settings: Any) -> Any:
        made.append(name)
        return create(group, name, **settings)

    monkeypatch.setattr(zarr.Group, "create_array", counted)
    Rows(url, most=3).start(columns, chains=2, tests=4)
    assert made == []
    first.write("losses", 1, 2, np.ones(5))
    Rows(url, most=3).start({**columns, "base_losses": np.zeros(6)}, chains=2, tests=4)
    assert made == ["base_losses", "losses"]  # the control: other forms


def test_writers_that_begin_at_once_at_a_url_lose_nothing(problem: Any, expected: Any) -> None:
    for delay in (0.0, 0.005, 0.02):
        url = f"memory://{uuid.uuid4().hex}/s"

        def run(number: int, url: str = url, delay: float = delay) -> None:
            time.sleep(number * delay)
            fit(problem, url)

        with ThreadPoolExecutor(3) as executor:
            done = [executor.submit(run, number) for number in range(3)]
        for error in filter(None, (each.exception() for each in done)):
            assert isinstance(error, StoreError)
            assert "another run has begun to write" in str(error)
        assert_same(fit(problem, url), expected)
