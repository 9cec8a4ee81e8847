"""Readers of the files that users have; nothing is downloaded. Pictures are (n, colours, side,
side) in uint8."""

from __future__ import annotations

import csv
import gzip
import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


class Part(NamedTuple):
    """Inputs and their true classes."""

    x: Any
    y: Labels


def idx(path: Path) -> NDArray[np.uint8]:
    """The array of an idx file, gzipped or not, as those of MNIST."""
    raw = path.read_bytes()
    content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    kind, dimensions = content[2], content[3]
    if content[:2] != b"\0\0" or kind != 8:
        raise SystemExit(f"{path.name} is no idx file of bytes; give one of MNIST's files")
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def mnist(folder: Path, part: str) -> Part:
    """MNIST: the files `train-…` or `t10k-…`, gzipped or not."""
    images, labels = (
        idx(found(folder, f"{part}-{what}-ubyte*")) for what in ("images-idx3", "labels-idx1")
    )
    return Part(images[:, None], labels.astype(np.int64))


class Trusting(pickle.Unpickler):
    """Reads the pickles of CIFAR, which hold arrays, lists and bytes alone."""

    allowed = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise SystemExit(f"the file asks for {module}.{name}; give a batch file of CIFAR")
        return super().find_class(module, name)


def pickled_npy(path: Path) -> Any:
    """The dictionary of arrays in an npy file, as CIFAR-N's authors wrote it."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        return Trusting(file).load().item()


def cifar_batch(path: Path, key: str = "labels") -> Part:
    """One file of CIFAR's python version; the key of CIFAR-100 is fine_labels."""
    stored = Trusting(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    x = np.asarray(stored[b"data"], np.uint8).reshape(-1, 3, 32, 32)
    return Part(x, np.asarray(stored[key.encode()], np.int64))


def cifar10(folder: Path, part: str) -> Part:
    """The folder cifar-10-batches-py."""
    names = [f"data_batch_{i}" for i in range(1, 6)] if part == "train" else ["test_batch"]
    parts = [cifar_batch(found(folder, f"cifar-10-batches-py/{name}")) for name in names]
    return Part(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))


def cifar100(folder: Path, part: str) -> Part:
    """The folder cifar-100-python."""
    return cifar_batch(found(folder, f"cifar-100-python/{part}"), "fine_labels")


def cifar_npz(path: Path) -> Part:
    """An npz with images (n, 32, 32, 3) and clean_label."""
    stored = np.load(path)
    return Part(stored["images"].transpose(0, 3, 1, 2), stored["clean_label"].astype(np.int64))


def svhn(folder: Path, part: str) -> Part:
    """SVHN's cropped digits, `train_32x32.mat`; class 10 is the digit 0."""
    from scipy.io import loadmat

    stored = loadmat(found(folder, f"{part}_32x32.mat"))
    return Part(stored["X"].transpose(3, 2, 0, 1), stored["y"].ravel().astype(np.int64) % 10)


def usps(folder: Path, part: str) -> Part:
    """USPS from its npz, 16 × 16."""
    stored = np.load(found(folder, "usps/usps.npz"))
    x = np.round(255 * stored[f"{part}_images"]).astype(np.uint8)
    return Part(x[:, None], stored[f"{part}_labels"].astype(np.int64))


def dbpedia(folder: Path, part: str) -> tuple[list[str], Labels]:
    """DBpedia's or AG News' csv: class from 1, title, text."""
    path = found(folder, f"dbpedia_csv/{part}.csv*")
    return csv_texts(path)


def csv_texts(path: Path) -> tuple[list[str], Labels]:
    """Texts and classes of a csv whose rows are class from 1, title, text; gzipped or not."""
    raw = path.read_bytes()
    content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    rows = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
    return [" ".join(row[1:]) for row in rows], np.array([int(row[0]) - 1 for row in rows])


class Folder(Sequence[Any]):
    """A folder of one folder of pictures per class, read when they are asked for.

    `folder[positions]` is an array of shape (b, 3, side, side) in uint8: the centre of each
    picture, or with a seed `folder.crops(positions, seed)`: RandomResizedCrop and flips.
    """

    def __init__(self, root: Path, side: int) -> None:
        names = sorted(path.name for path in root.iterdir() if path.is_dir())
        files = [
            (path, k) for k, name in enumerate(names) for path in sorted((root / name).iterdir())
        ]
        if not files:
            raise SystemExit(f"{root.name} has no folders of pictures; give one folder per class")
        self.paths = [path for path, _ in files]
        self.labels = np.array([k for _, k in files], np.int64)
        self.side = side

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, positions: Any) -> NDArray[np.uint8]:
        return np.stack([self._read(int(i), None) for i in np.atleast_1d(positions)])

    def crops(self, positions: Any, seed: int) -> NDArray[np.uint8]:
        """Random crops of 8 % to all of the picture, flipped at random."""
        return np.stack([self._read(int(i), np.random.default_rng([seed, int(i)]))
                         for i in np.atleast_1d(positions)])  # fmt: skip

    def _read(self, i: int, rng: np.random.Generator | None) -> NDArray[np.uint8]:
        from PIL import Image

        with Image.open(self.paths[i]) as opened:
            picture = opened.convert("RGB")
        w, h = picture.size
        if rng is None:
            edge = int(0.875 * min(w, h))
            box = ((w - edge) // 2, (h - edge) // 2, (w + edge) // 2, (h + edge) // 2)
        else:
            area, ratio = rng.uniform(0.08, 1.0) * w * h, np.exp(rng.uniform(-0.288, 0.288))
            width = max(1, min(w, round(float(np.sqrt(area * ratio)))))
            height = max(1, min(h, round(float(np.sqrt(area / ratio)))))
            left, top = (int(rng.integers(0, most + 1)) for most in (w - width, h - height))
            box = (left, top, left + width, top + height)
        x = np.asarray(picture.resize((self.side, self.side), Image.Resampling.BILINEAR, box=box))
        flipped = x[:, ::-1] if rng is not None and rng.random() < 0.5 else x
        return np.ascontiguousarray(flipped.transpose(2, 0, 1))


def found(folder: Path | None, pattern: str) -> Path:
    """The first file of this name in the folder, or anywhere below it."""
    if folder is None:
        raise SystemExit(f"{pattern} is read from a folder; give it with --data")
    for match in (folder.glob(pattern), folder.rglob(pattern)):
        for path in sorted(match):
            return path
    raise SystemExit(f"there is no {pattern} under the folder of --data; put it there")
