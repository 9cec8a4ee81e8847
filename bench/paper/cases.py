"""The data sets of the exhibits, and what stands in for them where files are missing."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.paper import noise, readers
from bench.paper.readers import Part
from bench.paper.recipes import RECIPES, Recipe, Scale, Setting
from bench.paper.views import pictures, reduced, tokens

TEST = 1000
"""Test samples at most, below full scale."""
HUMAN_KEYS = {
    "aggre": "aggre_label", "random1": "random_label1", "random2": "random_label2",
    "random3": "random_label3", "worse": "worse_label",
}  # fmt: skip


class Split(NamedTuple):
    """Training samples with given and true labels, and test samples with true ones."""

    x: Any
    given: NDArray[np.int64]
    true: NDArray[np.int64]
    test: tuple[Any, NDArray[np.int64]]
    classes: int
    source: NDArray[np.int64] | None = None

    @property
    def wrong(self) -> NDArray[np.bool_]:
        return self.given != self.true


@dataclass(frozen=True)
class Case:
    """One data set with its noise.

    Parameters
    ----------
    name : str
        As the paper names it.
    full, small : callable
        ``read(folder) -> (train, test, human labels or None)``; `small` reads the stand-in.
    recipe, small_recipe : str
        Of `RECIPES`; the second where the stand-in is of another kind.
    noise, rate
    stand_in : str
        What `small` takes, for the page.
    """

    name: str
    full: Callable[[Path | None], Any]
    small: Callable[[Path | None], Any]
    recipe: str
    stand_in: str
    noise: str = "symmetric"
    rate: float = 0.1
    small_recipe: str = ""

    def trained_by(self, scale: Scale) -> Recipe:
        """The recipe at this scale."""
        return RECIPES[self.recipe if scale == "full" else self.small_recipe or self.recipe]

    def load(self, scale: Scale, folder: Path | None, seed: int) -> Split:
        """The data, cut and mislabelled by the seed."""
        recipe = self.trained_by(scale)
        setting = recipe.scales[scale]
        reader = {"full": self.full, "quick": quick_reader(recipe)}.get(scale, self.small)
        train, test, people = reader(folder)
        rng = np.random.default_rng([seed, 3])
        rows = np.sort(rng.permutation(len(train.y))[: setting.samples])
        if scale == "full":
            rows = np.arange(len(train.y))
        own = rng.permutation(len(test.y))[: TEST if scale != "quick" else 60]
        own = np.arange(len(test.y)) if scale == "full" else own
        classes = int(max(train.y.max(), test.y.max())) + 1
        y = train.y[rows]
        x, tests = shown(recipe, setting, train.x, rows, test.x, own)
        kind = self.noise
        if kind in noise.HUMAN and people is not None:
            # CIFAR-100-N has one set of labels of people
            given = people[kind if kind in people else next(iter(people))][rows]
        else:
            kind = "symmetric" if kind in noise.HUMAN else kind
            given = noise.mislabel(y, classes, kind, self.rate, seed, x=x)
        source = people["source"][rows] if people and "source" in people else None
        return Split(x, given, y, (tests, test.y[own]), classes, source)


def shown(
    recipe: Recipe, setting: Setting, x: Any, rows: Any, test: Any, own: Any
) -> tuple[Any, Any]:
    """Inputs as the net takes them."""
    if isinstance(x, list):
        size = setting.shape.get("vocabulary", 8000)
        return tokens([x[i] for i in rows], [test[i] for i in own], size)
    if isinstance(x, readers.Folder):
        return x, test
    side = setting.side
    return pictures(reduced(x[rows], side)), pictures(reduced(test[own], side))


def quick_reader(recipe: Recipe) -> Callable[[Path | None], Any]:
    """Data that are everywhere: scikit-learn's digits, or made-up sentences."""
    return made_up if recipe.net == "swem" else digits


def digits(folder: Path | None) -> Any:
    """scikit-learn's 1,797 digits; the last 297 are the test."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    pixels = np.round(x.reshape(-1, 1, 8, 8) * 255 / 16).astype(np.uint8)
    return Part(pixels[:1500], y[:1500]), Part(pixels[1500:], y[1500:]), None


def made_up(folder: Path | None) -> Any:
    """Sentences of ten words, each class with words of its own."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 400)
    words = [[f"w{k}{rng.integers(0, 12)}" if rng.random() < 0.5 else f"c{rng.integers(0, 40)}"
              for _ in range(10)] for k in y]  # fmt: skip
    texts = [" ".join(row) for row in words]
    return Part(texts[:300], y[:300]), Part(texts[300:], y[300:]), None


def cifar10_small(folder: Path | None) -> Any:
    """12,000 photographs with the labels of people, 4,000 test photographs."""
    path = readers.found(folder, "cifar10n/cifar10n_train_12000.npz")
    stored = np.load(path)
    people = {kind: stored[key].astype(np.int64) for kind, key in HUMAN_KEYS.items()}
    test = readers.cifar_npz(readers.found(folder, "cifar10n/cifar10_test_4000.npz"))
    return readers.cifar_npz(path), test, people


def mnist_small(folder: Path | None) -> Any:
    """The 10,000 test digits of MNIST: 8,000 to train, 2,000 to test."""
    part = readers.mnist(readers.found(folder, "mnist"), "t10k")
    order = np.random.default_rng(7).permutation(len(part.y))
    halves = order[:8000], order[8000:]
    train, test = (Part(part.x[rows], part.y[rows]) for rows in halves)
    return train, test, None


def usps_small(folder: Path | None) -> Any:
    """USPS."""
    return (*(readers.usps(folder, part) for part in ("train", "test")), None)  # type: ignore[arg-type]


def trec50(folder: Path | None) -> Any:
    """TREC's questions with their 50 fine classes."""
    raw = gzip.decompress(readers.found(folder, "text/trec.tsv.gz").read_bytes())
    lines = [line.split("\t") for line in raw.decode().splitlines()[1:]]
    _, y = np.unique([line[2] for line in lines], return_inverse=True)
    parts = []
    for part in ("train", "test"):
        rows = [i for i, line in enumerate(lines) if line[0] == part]
        parts.append(Part([lines[i][3] for i in rows], y[rows].astype(np.int64)))
    return (*parts, None)


def ag_news(folder: Path | None) -> Any:
    """The 7,600 test texts of AG News: 6,000 to train, 1,600 to test."""
    texts, y = readers.csv_texts(readers.found(folder, "text/ag_news_test.csv.gz"))
    order = np.random.default_rng(7).permutation(len(y))
    halves = order[:6000], order[6000:]
    train, test = (Part([texts[i] for i in rows], y[rows]) for rows in halves)
    return train, test, None


def _full(reader: Callable[..., Any]) -> Callable[[Path | None], Any]:
    def read(folder: Path | None) -> Any:
        train, test = (reader(folder, part) for part in ("train", "test"))
        return Part(*train), Part(*test), None

    return read


def mnist_full(folder: Path | None) -> Any:
    """The 60,000 and 10,000 digits."""
    parts = (readers.mnist(readers.found(folder, "mnist"), part) for part in ("train", "t10k"))
    return (*parts, None)


def cifar10n_full(folder: Path | None) -> Any:
    """CIFAR-10 with the labels of CIFAR-10N, from `CIFAR-10_human.npy` of its authors."""
    train, test, _ = _full(readers.cifar10)(folder)
    stored = readers.pickled_npy(readers.found(folder, "CIFAR-10_human.npy"))
    return train, test, {kind: np.asarray(stored[key]) for kind, key in HUMAN_KEYS.items()}


def cifar100n_full(folder: Path | None) -> Any:
    """CIFAR-100 with the labels of CIFAR-100N, from `CIFAR-100_human.npy` of its authors."""
    train, test, _ = _full(readers.cifar100)(folder)
    stored = readers.pickled_npy(readers.found(folder, "CIFAR-100_human.npy"))
    return train, test, {"worse": np.asarray(stored["noisy_label"])}


def missing(folder: Path | None) -> Any:
    """CIFAR-100-N has no stand-in: no other file here has many classes and labels of people."""
    raise SystemExit("CIFAR-100-N is not among the small files; choose --scale full with its files")


def imagenet(folder: Path | None) -> Any:
    """Folders `train` and `val` with one folder of pictures per class."""
    parts = [readers.Folder(readers.found(folder, name), 224) for name in ("train", "val")]
    return (*(Part(part, part.labels) for part in parts), None)


CASES = {
    case.name: case
    for case in (
        Case("CIFAR-10", _full(readers.cifar10), cifar10_small, "resnet18",
             "CIFAR-10, 500 photographs at 16 × 16"),
        Case("CIFAR-100", _full(readers.cifar100), trec50, "resnet18",
             "TREC questions with 50 classes stand in for CIFAR-100, with SWEM",
             small_recipe="swem"),
        Case("CIFAR-10-N", cifar10n_full, cifar10_small, "resnet18",
             "CIFAR-10-N, 500 photographs at 16 × 16", noise="worse"),
        Case("CIFAR-100-N", cifar100n_full, missing, "resnet18", "no stand-in", noise="worse"),
        Case("MNIST", mnist_full, mnist_small, "vgg_b", "MNIST, 500 digits"),
        Case("SVHN", _full(readers.svhn), usps_small, "resnet18",
             "USPS stands in for SVHN, 500 digits at 16 × 16"),
        Case("ViT-S-32", imagenet, usps_small, "vit_s32",
             "400 digits of USPS stand in for ImageNet: so few photographs teach ViT nothing"),
        Case("MLP-Mixer-S-32", imagenet, usps_small, "mixer_s32",
             "400 digits of USPS stand in for ImageNet: so few photographs teach Mixer nothing"),
        Case("DBPedia", _full(readers.dbpedia), ag_news, "swem",
             "AG News stands in for DBpedia, 1,000 texts"),
    )
}  # fmt: skip
