"""The files that users have are read as what they are."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from bench.paper import noise, readers
from bench.paper.views import Views, cropped, reduced, tokens

RNG = np.random.default_rng(0)


def idx_file(path: Path, array: np.ndarray) -> None:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    path.write_bytes(gzip.compress(head + array.tobytes()))


def test_idx(tmp_path: Path) -> None:
    images, labels = RNG.integers(0, 256, (5, 28, 28)), np.array([3, 1, 4, 1, 5])
    idx_file(tmp_path / "t10k-images-idx3-ubyte.gz", images.astype(np.uint8))
    idx_file(tmp_path / "t10k-labels-idx1-ubyte.gz", labels.astype(np.uint8))
    part = readers.mnist(tmp_path, "t10k")
    assert (part.x[:, 0] == images).all()
    assert (part.y == labels).all()
    (tmp_path / "other").write_bytes(b"no idx file")
    with pytest.raises(SystemExit, match="no idx file"):
        readers.idx(tmp_path / "other")


def test_cifar_batches_and_a_pickle_that_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    data = RNG.integers(0, 256, (4, 3072)).astype(np.uint8)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(pickle.dumps({b"data": data, b"labels": [0, 1, 2, 9]}))
    train = readers.cifar10(tmp_path, "train")
    assert train.x.shape == (20, 3, 32, 32)
    assert (train.x[0].ravel() == data[0]).all()
    assert train.y[:4].tolist() == [0, 1, 2, 9]
    (folder / "test_batch").write_bytes(pickle.dumps(Path))
    with pytest.raises(SystemExit, match="give a batch file of CIFAR"):
        readers.cifar10(tmp_path, "test")


def test_labels_of_people_in_an_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "CIFAR-100_human.npy", {"noisy_label": np.arange(5)}, allow_pickle=True)
    found = readers.pickled_npy(tmp_path / "CIFAR-100_human.npy")
    assert found["noisy_label"].tolist() == [0, 1, 2, 3, 4]


def test_cifar_npz_and_svhn(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    np.savez(tmp_path / "c.npz", images=images, clean_label=np.array([1, 2, 3]))
    part = readers.cifar_npz(tmp_path / "c.npz")
    assert (part.x[1].transpose(1, 2, 0) == images[1]).all()
    stored = {"X": images.transpose(1, 2, 3, 0), "y": np.array([[1], [10], [9]])}
    savemat(tmp_path / "train_32x32.mat", stored)
    part = readers.svhn(tmp_path, "train")
    assert (part.x[2].transpose(1, 2, 0) == images[2]).all()
    assert part.y.tolist() == [1, 0, 9]  # class 10 is the digit 0


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    from PIL import Image

    for k, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for i in range(2):
            pixels = np.full((40, 60, 3), 100 * k + i, np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    folder = readers.Folder(tmp_path, 16)
    assert folder.labels.tolist() == [0, 0, 1, 1]
    assert folder[[0, 3]].shape == (2, 3, 16, 16)
    assert (folder[3] == 101).all()
    views = Views(folder, folder.labels, augment=True, flip=True)
    x, y = views.augmented(np.array([1, 2]), seed=0)
    assert x.dtype == np.float32
    assert x.shape == (2, 3, 16, 16)
    assert y.tolist() == [0, 1]


def test_csv_of_texts(tmp_path: Path) -> None:
    (tmp_path / "dbpedia_csv").mkdir()
    text = '1,"A ""name""","a firm"\n14,Title,a book\n'
    (tmp_path / "dbpedia_csv/train.csv").write_text(text, encoding="utf-8")
    texts, y = readers.dbpedia(tmp_path, "train")
    assert texts == ['A "name" a firm', "Title a book"]
    assert y.tolist() == [0, 13]


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SystemExit, match="give it with --data"):
        readers.found(None, "train_32x32.mat")


@pytest.mark.parametrize("kind", ["symmetric", "pair", "instance"])
def test_noise_has_the_exact_rate(kind: str) -> None:
    y, x = RNG.integers(0, 5, 400), RNG.normal(size=(400, 6))
    given = noise.mislabel(y, 5, kind, 0.2, 3, x=x)
    assert (given != y).sum() == 80
    assert ((given >= 0) & (given < 5)).all()
    if kind == "pair":
        assert set((given - y)[given != y] % 5) == {1}
    if kind == "instance":  # the sample decides: the same look gives the same label
        again = noise.mislabel(y, 5, kind, 1.0, 3, x=np.ones_like(x))
        assert all(len(set(again[y == k].tolist())) == 1 for k in range(5))


def test_pictures_change_their_size_and_keep_their_mean() -> None:
    x = RNG.integers(0, 256, (2, 1, 8, 8)).astype(np.uint8)
    assert reduced(x, 8) is x
    assert abs(float(reduced(x, 4).mean()) - float(x.mean())) < 1
    assert (reduced(x, 16)[:, :, ::2, ::2] == x).all()
    assert reduced(x, 12)[:, :, 2:10, 2:10].tolist() == x.tolist()
    with pytest.raises(SystemExit, match="choose a divisor"):
        reduced(x, 5)


def test_crops_move_and_flip() -> None:
    x = RNG.normal(size=(30, 1, 8, 8)).astype(np.float32)
    one, other = cropped(x, 0, flip=True), cropped(x, 1, flip=True)
    assert (one == cropped(x, 0, flip=True)).all()
    assert (one != other).any()
    assert one.shape == x.shape


def test_tokens_are_padded_with_zero() -> None:
    train, test = tokens(["a man a plan", "a canal"] * 20, ["a plan", ""], 40)
    assert train.shape == (40, 48)
    assert (test[1] == 0).all()
    assert train.max() < 40
