"""A recorder keeps what the loop told, in any order and any array library, and refuses what cannot
be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.scores import AUM, EL2N, Forgetting, MeanMemberLoss, Recorder
from gexcore.testing import strategies as gst


def softmax(row: Any) -> Any:
    p = np.exp(row)
    return p / p.sum()


def test_curves_are_those_of_each_sample(history: Any) -> None:
    recorder, y = history.recorder, history.y
    assert recorder.epochs == tuple(range(1, 9))
    assert np.array_equal(recorder.labels, y)
    for name in ("losses", "errors", "margins", "correct"):
        assert recorder.curve(name).shape == (8, 240)
        assert recorder.curve(name).dtype == np.float32
    for t, n in ((0, 0), (3, 17), (7, 239)):
        row = history.logits[t, n]
        others = np.delete(row, y[n])
        assert recorder.curve("losses")[t, n] == np.float32(history.losses[t, n])
        assert recorder.curve("margins")[t, n] == pytest.approx(row[y[n]] - others.max(), rel=1e-6)
        assert recorder.curve("errors")[t, n] == pytest.approx(
            np.linalg.norm(softmax(row) - np.eye(3)[y[n]]), rel=1e-6
        )
        assert recorder.curve("correct")[t, n] == (row.argmax() == y[n])


@given(st.data())
def test_the_order_of_samples_and_batches_does_not_matter(data: Any) -> None:
    n = 6
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    logits, y = rng.normal(size=(n, 3)), rng.integers(0, 3, n)
    told = []
    for order in (np.arange(n), data.draw(gst.positions(n, (n,)))):
        recorder = Recorder(samples=n)
        cut = data.draw(st.integers(1, n - 1))
        for part in (order[:cut], order[cut:]):
            recorder.add(part, logits=logits[part], labels=y[part])
        recorder.epoch()
        told.append(recorder)
    for name in ("errors", "margins", "correct"):
        assert np.array_equal(told[0].curve(name), told[1].curve(name))


def test_entries_that_were_not_told_are_nan_and_leave_scores_of_the_rest() -> None:
    recorder = Recorder(samples=3)
    recorder.add([0, 1], logits=[[2.0, 0.0], [0.0, 1.0]], labels=[0, 1])
    recorder.epoch()
    recorder.add([1], logits=[[0.0, 5.0]], labels=[1])
    recorder.epoch()
    assert np.isnan(recorder.curve("margins")).tolist() == [
        [False, False, True],
        [True, False, True],
    ]
    assert recorder.labels is None
    np.testing.assert_array_equal(AUM(recorder=recorder).fit().values, [2.0, 3.0, np.nan])
    np.testing.assert_array_equal(Forgetting(recorder=recorder).fit().values, [0.0, 0.0, np.nan])


def test_what_was_added_counts_when_its_epoch_ends() -> None:
    recorder = Recorder(samples=1)
    recorder.add([0], losses=[1.0])
    recorder.epoch(4)
    recorder.add([0], losses=[3.0])
    assert recorder.epochs == (4,)
    assert MeanMemberLoss(recorder=recorder).fit().values.tolist() == [1.0]
    recorder.epoch()
    assert recorder.epochs == (4, 5)
    assert MeanMemberLoss(recorder=recorder).fit().values.tolist() == [2.0]


@pytest.mark.parametrize("logits", [[1.5, -0.5], [[1.5], [-0.5]], [[0.0, 1.5], [0.0, -0.5]]])
@pytest.mark.parametrize("labels", [[1, 1], [1.0, 1.0], [[1.0], [1.0]], [True, True]])
def test_one_score_per_sample_is_that_of_class_1(logits: Any, labels: Any) -> None:
    recorder = Recorder(samples=2)
    recorder.add([0, 1], logits=logits, labels=labels)
    recorder.epoch()
    assert recorder.curve("margins").tolist() == [[1.5, -0.5]]


def test_arrays_of_another_library_are_taken() -> None:
    xp = array_api_strict
    recorder = Recorder(samples=2)
    recorder.add(
        xp.asarray([1, 0]), losses=xp.asarray([2.0, 1.0]),
            logits=xp.asarray([[0.0, 1.0], [3.0, 0.0]]), labels=xp.asarray([1, 0])
    )  # fmt: skip
    recorder.epoch()
    assert recorder.curve("losses").tolist() == [[1.0, 2.0]]
    assert recorder.curve("margins").tolist() == [[3.0, 1.0]]


def test_a_file_keeps_everything(tmp_path: Path, history: Any) -> None:
    path = tmp_path / "history.npz"
    path.write_text("older")
    history.recorder.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["history.npz"]
    loaded = Recorder.load(path)
    assert (loaded.samples, loaded.epochs) == (240, history.recorder.epochs)
    assert np.array_equal(loaded.labels, history.y)
    for name in ("losses", "errors", "margins", "correct"):
        assert np.array_equal(loaded.curve(name), history.recorder.curve(name))
    loaded.add([0], losses=[1.0])
    loaded.epoch()
    assert loaded.epochs[-1] == 9
    assert np.isnan(loaded.curve("margins")[-1]).all()


def test_an_empty_recorder_can_be_kept(tmp_path: Path) -> None:
    Recorder(samples=2).save(tmp_path / "none.npz")
    assert Recorder.load(tmp_path / "none.npz").epochs == ()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidDataError, match=r"other\.npz was not written by Recorder\.save"):
        Recorder.load(path)


def test_pickles_and_other_arrays_are_refused(tmp_path: Path, history: Any) -> None:
    history.recorder.save(tmp_path / "good.npz")
    good = dict(np.load(tmp_path / "good.npz"))
    bad = [
        {"x": np.zeros(2)},
        {**good, "losses": good["losses"][:-1]},
        {**good, "labels": np.array([{}], object)},
    ]
    for number, arrays in enumerate(bad):
        np.savez(tmp_path / f"{number}.npz", **arrays)
        with pytest.raises(InvalidDataError, match=r"was not written by Recorder\.save"):
            Recorder.load(tmp_path / f"{number}.npz")


BAD_BATCHES: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "outside": (([0, 3],), {"losses": [1.0, 1.0]},
        "index 3 is outside 0 … 2; give positions in the training set of 3 samples"),
    "negative": (([-1],), {"losses": [1.0]}, "index -1 is outside 0 … 2"),
    "twice in a batch": (([1, 1],), {"losses": [1.0, 1.0]},
        "sample 1 is in one batch twice; add each sample once per epoch"),
    "float positions": (([0.0],), {"losses": [1.0]},
        "indices have shape (1,) and type float64; give the integer position"),
    "no samples": (([],), {"losses": []}, "indices have shape (0,)"),
    "reduced": (([0, 1],), {"losses": 1.0},
        "losses have shape () for 2 indices; give one number per sample, shape (2,): leave the "
"reduction out"),
    "nothing": (([0],), {}, "a batch was added with neither losses nor logits; give at least one"),
    "no labels": (([0],), {"logits": [[1.0, 0.0]]}, "logits were added without labels"),
    "too few labels": (([0, 1],), {"losses": [1.0, 1.0], "labels": [0]},
        "labels have shape (1,) for 2 indices; give one class per sample"),
    "soft labels": (([0],), {"losses": [1.0], "labels": [[0.5, 0.5]]},
        "labels have shape (1, 2) for 1 indices"),
    "no classes": (([0],), {"losses": [1.0], "labels": [0.5]},
        "some labels are no classes; give integers from 0 up"),
    "unknown class": (([0],), {"losses": [1.0], "labels": [np.nan]}, "some labels are no classes"),
    "names of classes": (([0],), {"losses": [1.0], "labels": ["cat"]},
        "some labels are no classes"),
    "negative label": (([0],), {"losses": [1.0], "labels": [-1]}, "some labels are no classes"),
    "too few logits": (([0, 1],), {"logits": [[1.0, 0.0]], "labels": [0, 1]},
        "logits have shape (1, 2) for 2 indices; give one row of class scores"),
    "too few classes": (([0],), {"logits": [[1.0, 0.0]], "labels": [2]},
        "label 2 is outside 0 … 1, the 2 classes of the logits"),
    "NaN loss": (([2, 0],), {"losses": [1.0, np.nan]},
        "the losses of 1 samples are not finite, first of sample 0"),
    "infinite logits": (([2],), {"logits": [[np.inf, np.inf]], "labels": [0]},
        "the logits of 1 samples are not finite, first of sample 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_a_bad_batch_is_refused_in_one_sentence_and_leaves_no_trace(name: str) -> None:
    args, arrays, told = BAD_BATCHES[name]
    recorder = Recorder(samples=3)
    with pytest.raises(InvalidDataError, match=re.escape(told)) as raised:
        recorder.add(*args, **arrays)
    assert "\n" not in str(raised.value)
    recorder.add([0, 1, 2], losses=[1.0, 2.0, 3.0], labels=[0, 1, 2])
    recorder.epoch()
    assert recorder.curve("losses").tolist() == [[1.0, 2.0, 3.0]]


def test_a_sample_twice_in_one_epoch_is_refused_and_in_the_next_welcome() -> None:
    recorder = Recorder(samples=3)
    recorder.add([0, 1], losses=[1.0, 1.0])
    with pytest.raises(
        InvalidDataError, match=r"sample 1 was added twice in one epoch; call epoch\(\) before"
    ):
        recorder.add([2, 1], losses=[1.0, 1.0])
    recorder.epoch()
    recorder.add([2, 1], losses=[1.0, 1.0])


def test_a_label_that_changes_gives_away_wrong_positions() -> None:
    recorder = Recorder(samples=3)
    recorder.add([0, 1], losses=[1.0, 1.0], labels=[1, 0])
    recorder.epoch()
    with pytest.raises(
        InvalidDataError,
        match="the label of sample 1 was 0 and is now 2; give positions in the training set",
    ):
        recorder.add([0, 1], losses=[1.0, 1.0], labels=[1, 2])


def test_epochs_are_numbered_upwards_and_never_empty() -> None:
    with pytest.raises(
        InvalidSettingError, match="samples is 0, and must be a whole number from 1 up"
    ):
        Recorder(samples=0)
    recorder = Recorder(samples=1)
    with pytest.raises(
        InvalidDataError, match=r"nothing was recorded in epoch 1; call add\(\) for every batch"
    ):
        recorder.epoch()
    recorder.add([0], losses=[1.0])
    recorder.epoch(0)
    recorder.add([0], losses=[1.0])
    with pytest.raises(
        InvalidSettingError, match="number is 0, and must be a whole number from 1 up"
    ):
        recorder.epoch(0)


def test_scores_tell_what_was_not_recorded() -> None:
    recorder = Recorder(samples=1)
    with pytest.raises(
        InvalidDataError, match=r"the recorder has no epoch; call add\(\) for every batch"
    ):
        AUM(recorder=recorder).fit()
    recorder.add([0], losses=[1.0])
    recorder.epoch()
    for score in (
        AUM(recorder=recorder),
        Forgetting(recorder=recorder),
        EL2N(recorder=recorder, epoch=1),
    ):
        told = (
            f"{type(score).__name__} needs logits, and none were recorded; tell them in the "
            "training loop: add(indices, logits"
        )
        with pytest.raises(InvalidDataError, match=re.escape(told)):
            score.fit()
    other = Recorder(samples=1)
    other.add([0], logits=[[1.0, 0.0]], labels=[0])
    other.epoch()
    with pytest.raises(
        InvalidDataError, match="MeanMemberLoss needs losses, and none were recorded"
    ):
        MeanMemberLoss(recorder=other).fit()
    with pytest.raises(
        InvalidSettingError,
        match="no curve named 'loss'; allowed are losses, errors, margins, correct",
    ):
        other.curve("loss")
