"""Inputs as nets take them: pixels as floats, texts as SentencePiece tokens, augmented batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTH = 48
"""Tokens of a text at most."""
PAD = 4
"""Pixels that a crop may move."""


def reduced(x: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pictures of this size: means of pixels, repeated pixels, or an edge of zeros around."""
    now = x.shape[-1]
    if now == side:
        return x
    if now % side == 0:
        k = now // side
        means = x.reshape(*x.shape[:2], side, k, side, k).mean((3, 5))
        return np.round(means).astype(np.uint8)
    if side >= 2 * now:
        x = x.repeat(side // now, 2).repeat(side // now, 3)
    edge = side - x.shape[-1]
    if edge < 0:
        raise SystemExit(f"pictures of {now} pixels cannot be made {side} wide; choose a divisor")
    before, after = edge // 2, edge - edge // 2
    return np.pad(x, ((0, 0), (0, 0), (before, after), (before, after)))


def pictures(x: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(pixel / 255 − .5) / .25, as in the paper's code."""
    return np.ascontiguousarray((x.astype(np.float32) / 255 - 0.5) / 0.25)


def tokens(
    texts: list[str], test: list[str], vocabulary: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tokens of a unigram SentencePiece model of the training texts; 0 is padding."""
    from tokenizers import SentencePieceUnigramTokenizer

    model = SentencePieceUnigramTokenizer()
    special = ["<pad>", "<unk>"]
    model.train_from_iterator(
        texts, vocab_size=vocabulary, show_progress=False, special_tokens=special, unk_token="<unk>"
    )
    made = []
    for part in (texts, test):
        rows = np.zeros((len(part), LENGTH), np.int64)
        for row, encoding in zip(rows, model.encode_batch(part), strict=True):
            ids = encoding.ids[:LENGTH]
            row[: len(ids)] = ids
        made.append(rows)
    return made[0], made[1]


def cropped(x: NDArray[Any], seed: int, *, flip: bool) -> NDArray[Any]:
    """Random crops after a reflected edge of four pixels; flips of photographs."""
    rng = np.random.default_rng(seed)
    wide = np.pad(x, ((0, 0), (0, 0), (PAD, PAD), (PAD, PAD)), mode="reflect")
    side, made = x.shape[-1], np.empty_like(x)
    for i, (top, left) in enumerate(rng.integers(0, 2 * PAD + 1, (len(x), 2))):
        view = wide[i, :, top : top + side, left : left + side]
        made[i] = view[:, :, ::-1] if flip and rng.random() < 0.5 else view
    return made


class Views:
    """The training samples as a gexcore dataset: plain for scores, augmented for steps."""

    def __init__(self, x: Any, y: NDArray[Any], *, augment: bool, flip: bool) -> None:
        self.x, self.y, self.flip, self.augment = x, y, flip, augment

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, indices: Sequence[int] | NDArray[np.intp]) -> tuple[Any, Any]:
        """Samples as they are."""
        rows = np.asarray(indices)
        return self._floats(self.x[rows]), self.y[rows]

    def augmented(self, indices: Any, *, seed: int) -> tuple[Any, Any]:
        """Samples through the augmentation of the training."""
        rows = np.asarray(indices)
        if not self.augment:
            return self.batch(rows)
        if hasattr(self.x, "crops"):
            return self._floats(self.x.crops(rows, seed)), self.y[rows]
        return cropped(self.x[rows], seed, flip=self.flip), self.y[rows]

    def _floats(self, x: Any) -> Any:
        return pictures(x) if x.dtype == np.uint8 else x
