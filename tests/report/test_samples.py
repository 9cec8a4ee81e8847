"""Samples of every kind, as they are shown."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gexcore.backend.data import ArrayDataset
from gexcore.report.samples import as_source, picture, samples_at, show


def pixels(shown: dict[str, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(shown["image"].partition(",")[2]))))


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (np.zeros((8, 6)), (8, 6)),
        (np.zeros((8, 6, 1)), (8, 6)),
        (np.zeros((3, 8, 6)), (8, 6, 3)),
        (np.zeros((8, 6, 3), np.float32), (8, 6, 3)),
        (np.zeros((8, 6, 4), np.uint8), (8, 6, 4)),
        (torch.zeros(1, 8, 6), (8, 6)),
        (np.zeros((8, 6), bool), (8, 6)),
    ],
)
def test_arrays_of_a_picture_s_shape_are_pictures(array: Any, shape: tuple[int, ...]) -> None:
    assert pixels(show(array)).shape == shape


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([[0.0, 0.5, 1.0]], [[0, 128, 255]]),
        ([[-1.0, 0.0, 1.0]], [[0, 128, 255]]),
        ([[0, 128, 255]], [[0, 128, 255]]),
        ([[7.0, 7.0, 7.0]], [[0, 0, 0]]),
        ([[np.nan, 0.0, 1.0]], [[0, 0, 255]]),
    ],
)
def test_numbers_become_grey_values(values: Any, wanted: Any) -> None:
    found = picture(np.array(values))
    assert found is not None
    assert found.tolist() == wanted


def test_large_pictures_are_made_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 300, 3), dtype=np.uint8)
    shown = show(Image.fromarray(noise))
    assert shown["image"].startswith("data:image/jpeg;")
    assert pixels(shown).shape == (160, 80, 3)
    assert pixels(show(Image.new("CMYK", (600, 300)))).shape == (80, 160, 3)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("a question", {"text": "a question", "length": 10}),
        (b"caf\xc3\xa9 \xff", {"text": "café �", "length": 6}),
        (np.str_("text"), {"text": "text", "length": 4}),
        (np.float64(0.5), {"text": "0.5", "length": 3}),
        ({"text": "of one"}, {"text": "of one", "length": 6}),
        ({"age": 31, "name": "A\x1b"}, {"values": [["age", "31"], ["name", "A␛"]], "length": 2}),
        (
            {"a": 1, "b": np.zeros((3, 4))},
            {"values": [["a", "1"], ["b", "3×4 values"]], "length": 2},
        ),
        (np.array([1.0, 0.25]), {"values": [["x0", "1"], ["x1", "0.25"]], "length": 2}),
    ],
)
def test_texts_and_values(value: Any, wanted: Any) -> None:
    assert show(value) == wanted


def test_long_rows_are_cut_with_their_length() -> None:
    shown = show(np.arange(100))
    assert (len(shown["values"]), shown["length"]) == (12, 100)


class Graphs:
    """A dataset whose batches nobody but its framework understands."""

    def __len__(self) -> int:
        return 5

    def batch(self, indices: Any) -> Any:
        return type("Graph", (), {"__repr__": lambda _: f"graphs {indices.tolist()}"})()


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (["a", "b", "c", "d", "e"], ["e", "a"]),
        (np.arange(5) * 10, [40, 0]),
        ((np.arange(5) * 10, np.zeros(5)), [40, 0]),
        (
            ArrayDataset(np.arange(5), np.arange(5) + 5, np.zeros(5)),
            [{"input 0": 4, "input 1": 9}, {"input 0": 0, "input 1": 5}],
        ),
        (
            {"x": np.arange(5), "z": np.arange(5), "label": np.zeros(5)},
            [{"x": 4, "z": 4}, {"x": 0, "z": 0}],
        ),
    ],
)
def test_samples_come_in_the_order_asked_for_without_their_targets(data: Any, wanted: Any) -> None:
    assert list(samples_at(as_source(data), np.array([4, 0]))) == list(
        zip([4, 0], wanted, strict=True)
    )


def test_a_batch_of_an_unknown_kind_is_shown_as_its_text() -> None:
    found = [show(sample)["text"] for _, sample in samples_at(Graphs(), np.array([4, 0]))]
    assert found == ["graphs [4]", "graphs [0]"]
