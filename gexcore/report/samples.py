"""Samples in the form of a page: a picture, a text, or named values."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj
from numpy.typing import NDArray
from PIL import Image

from gexcore.backend.data import TARGET_KEYS, as_dataset, to_numpy
from gexcore.backend.protocols import Backend, Dataset
from gexcore.errors import InvalidDataError

Renderer = Callable[[Any], Any]
"""A function from a sample to a text, a picture (array or PIL), or values (array or dict)."""

Shown = dict[str, Any]
"""A shown sample.

It is {"image": URI}, {"text": …, "length": …} or {"values": [[name, value], …], "length": …}.
"""

BUDGET = 16 * 2**20
TEXT, VALUES, SIDE, PIXEL_ART = 2_000, 12, 160, 64
BLOCK = 64
# control characters have no glyph, but Unicode has pictures of them
CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}


def shown_samples(source: Any, order: NDArray[np.intp], renderer: Renderer | None) -> list[Shown]:
    """The samples at these positions, up to the size limit of the page.

    Parameters
    ----------
    source : Dataset, list or array
        Samples. Each item of a list or an array is one sample.
    order : integer array
    renderer : callable, optional

    Raises
    ------
    InvalidDataError
        If a sample cannot be shown. The error names it.
    """
    found: list[Shown] = []
    spent = 0
    for position, sample in samples_at(source, order):
        try:
            item = show(sample if renderer is None else renderer(sample))
        except Exception as error:  # a user's renderer may raise anything
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            by = "be shown" if renderer is None else "be rendered"
            msg = (
                f"sample {position} cannot {by} ({told}); give a renderer that takes one sample "
                "and returns a text, a picture (array or PIL) or a dict of values; nothing was "
                "written"
            )
            raise InvalidDataError(msg) from error
        spent += sum(len(str(value)) for value in item.values())
        if spent > BUDGET:
            break
        found.append(item)
    return found


def show(value: Any) -> Shown:
    """One sample, shown by its type."""
    if isinstance(value, Mapping):
        return show(next(iter(value.values()))) if len(value) == 1 else _values(value)
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        return {"text": value[:TEXT].translate(CONTROLS), "length": len(value)}
    if isinstance(value, Image.Image):
        return {"image": _uri(_plain(value))}
    array = to_numpy(value)
    if array.ndim == 0:
        return show(str(array.item()))
    pixels = picture(array)
    if pixels is not None:
        return {"image": _uri(Image.fromarray(pixels))}
    return _values({f"x{i}": number for i, number in enumerate(array.ravel()[:VALUES])}, array.size)


def as_source(data: Any, backend: Backend[Any, Any] | None = None) -> Any:
    """Data with one sample per position: a sequence, an array, or else a `Dataset`."""
    if is_array_api_obj(data):
        return to_numpy(data)
    # a tuple holds the columns of a dataset
    return (
        data
        if isinstance(data, Sequence) and not isinstance(data, tuple)
        else as_dataset(data, backend)
    )


def samples_at(source: Any, order: NDArray[np.intp]) -> Iterator[tuple[int, Any]]:
    """Pairs of position and sample, without the target, in this order.

    A batch of a framework's own kind, such as a graph, stays a batch of one.
    """
    for start in range(0, len(order), BLOCK):
        positions = order[start : start + BLOCK]
        if isinstance(source, Sequence | np.ndarray):
            rows = [source[i] for i in positions.tolist()]
        else:
            rows = list(_rows(source, positions))
        yield from zip(positions.tolist(), rows, strict=True)


def _rows(dataset: Dataset[Any], positions: NDArray[np.intp]) -> Iterator[Any]:
    batch = dataset.batch(positions)
    if isinstance(batch, Mapping):
        target = next((key for key in TARGET_KEYS if key in batch), None)
        inputs = {str(name): column for name, column in batch.items() if name != target}
    elif isinstance(batch, tuple | list) and len(batch) >= 2:
        inputs = {f"input {i}": column for i, column in enumerate(batch[:-1])}
    else:
        inputs = {"input": batch}
    columns = {
        name: column if isinstance(column, list) else to_numpy(column)
        for name, column in inputs.items()
    }
    if any(np.ndim(column) == 0 or len(column) != len(positions) for column in columns.values()):
        yield from (dataset.batch(positions[i : i + 1]) for i in range(len(positions)))
        return
    for i in range(len(positions)):
        row = {name: column[i] for name, column in columns.items()}
        yield next(iter(row.values())) if len(row) == 1 else row


def _values(values: Mapping[Any, Any], length: int | None = None) -> Shown:
    pairs = [[_brief(name), _brief(value)] for name, value in list(values.items())[:VALUES]]
    return {"values": pairs, "length": len(values) if length is None else length}


def _brief(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    text = str(value) if np.ndim(value) == 0 else f"{'×'.join(map(str, np.shape(value)))} values"
    return (text if len(text) <= 60 else f"{text[:60]}…").translate(CONTROLS)


def picture(value: Any) -> NDArray[np.uint8] | None:
    """Pixels of shape (height, width[, 3 or 4]) from PIL or numbers; None for no picture.

    Numbers in 0 … 1, and whole numbers in 0 … 255, are colours. Other numbers are spread from black
    to white. A first axis of 1, 3 or 4 counts as colours if the last axis does not.
    """
    if isinstance(value, str | bytes | Mapping):
        return None
    array = np.asarray(_plain(value)) if isinstance(value, Image.Image) else to_numpy(value)
    if array.dtype.kind not in "biuf" or array.ndim not in (2, 3) or 0 in array.shape:
        return None
    if array.ndim == 3:
        if array.shape[2] not in (1, 3, 4):
            array = np.moveaxis(array, 0, 2)
        if array.shape[2] not in (1, 3, 4):
            return None
        array = array[..., 0] if array.shape[2] == 1 else array
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    values = np.nan_to_num(array.astype(np.float64))
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif array.dtype.kind in "iu" and low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    return np.ascontiguousarray(
        np.rint((values - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
    )


def _plain(image: Image.Image) -> Image.Image:
    return image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGB")


def _uri(image: Image.Image) -> str:
    exact = max(image.size) <= PIXEL_ART or image.mode == "RGBA"
    if max(image.size) > SIDE:
        image = image.copy()
        image.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    image.save(content, "PNG" if exact else "JPEG", **({} if exact else {"quality": 85}))
    kind, text = "png" if exact else "jpeg", base64.b64encode(content.getvalue()).decode()
    return f"data:image/{kind};base64,{text}"
