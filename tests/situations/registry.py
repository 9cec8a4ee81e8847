"""Situations of a user: what is passed, and what must come of it.

A module per framework declares them. Each is a test with the real framework, and a row of
docs/situations.md.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gexcore as gx
from gexcore.errors import GexError, GexWarning

Outcome = Literal["works", "works, and says so", "refused"]
QUICK = gx.GEX(chains=1, snapshots=2, lr=1e-3, steps_per_snapshot=2, scoring="evaluated")
FINAL = replace(QUICK, keep=0)
"""No kept member: the parts are scored by the trained model alone."""
LONGEST = 420


class Scored(NamedTuple):
    """What a fit returned, and the losses that the user's framework gives by itself."""

    result: Any
    expected: Any


@dataclass(frozen=True)
class Situation:
    """One row.

    Parameters
    ----------
    framework : str
    passed : str
        What the user passes, as Markdown.
    outcome : str
    line : str
        What the message says to write instead, or what it says. Empty where nothing is said.
    run : callable
        The user's code. It returns `Scored`, or nothing where it checks by itself.
    """

    framework: str
    passed: str
    outcome: Outcome
    line: str
    run: Callable[[], Scored | None]

    def __str__(self) -> str:
        return self.run.__name__

    def row(self) -> dict[str, str]:
        """The row of the page."""
        named = {"framework": self.framework, "passed": self.passed}
        return {**named, "outcome": self.outcome, "line": self.line}

    def check(self) -> None:
        """Run the user's code, and compare what comes with what is declared."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                scored = self.run()
            except GexError as error:
                self._check_refusal(error)
                return
        assert self.outcome != "refused", f"{self} was accepted"
        told = [str(w.message) for w in said if issubclass(w.category, GexWarning)]
        if self.line and self.outcome != "works":
            assert any(self.line in message for message in told), told
        else:
            assert not told, told
        if scored is not None:
            _check_scores(*scored)

    def _check_refusal(self, error: GexError) -> None:
        message = str(error)
        assert self.outcome == "refused", message
        assert self.line in message, message
        assert "\n" not in message, message
        assert len(message) <= LONGEST, message


class Situations(list[Situation]):
    """The situations of a framework, in the order of the page."""

    def __init__(self, framework: str) -> None:
        super().__init__()
        self.framework = framework

    def works(self, passed: str, line: str = "") -> Callable[[Any], Any]:
        """Something that works. With a line, it works and a warning has this text."""
        return self._add(passed, "works, and says so" if line else "works", line)

    def refused(self, passed: str, line: str) -> Callable[[Any], Any]:
        """Something that is refused, with this text in the sentence."""
        return self._add(passed, "refused", line)

    def _add(self, passed: str, outcome: Outcome, line: str) -> Callable[[Any], Any]:
        def add(run: Any) -> Any:
            self.append(Situation(self.framework, passed, outcome, line, run))
            return run

        return add


def fit(*args: Any, **settings: Any) -> Any:
    """A short fit: losses at the checkpoint, and a few steps."""
    return QUICK.fit(*args, progress=False, **settings)


def _check_scores(result: Any, expected: Any) -> None:
    scores = np.asarray(result.suspicion())
    expected = np.asarray(expected, np.float64).reshape(-1)
    assert scores.shape == expected.shape, (scores.shape, expected.shape)
    assert np.isfinite(scores).all()
    if hasattr(result, "checkpoint_losses"):
        np.testing.assert_allclose(result.checkpoint_losses, expected, rtol=2e-3, atol=2e-4)
    else:
        np.testing.assert_allclose(scores, expected, rtol=2e-3, atol=2e-4)


def blobs(samples: int = 48, features: int = 4, classes: int = 3) -> tuple[NDArray[Any], ...]:
    """Clouds, one per class: inputs in float32, and labels 0 … K − 1 in int64."""
    rng = np.random.default_rng(0)
    y = np.arange(samples) % classes
    centres = 4.0 * np.eye(classes, features) - 1.0
    x = centres[y] + rng.normal(size=(samples, features))
    return x.astype(np.float32), y


def check_page(situations: Situations) -> None:
    """The committed rows of a framework are its situations."""
    text = (Path(__file__).parents[2] / "docs/rows/situations.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    found = [
        {name: value for name, value in row.items() if name != "measured"}
        for row in rows
        if row["framework"] == situations.framework
    ]
    assert found == [situation.row() for situation in situations], (
        "run python -m bench.studies.situations --out docs/rows/situations.jsonl"
    )


def follow_the_readme(model: Any, x: Any, y: Any) -> None:
    """Run the Python example of the README, as it is written, with this model and data."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    example = text.split("```python\n")[1].split("```")[0]
    names = {"model": model, "x": x, "y": y}
    given = np.asarray(y)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        # what the page exports after a review of one sample
        Path("marks.csv").write_text(
            f"index,label,mark,new_label\n3,{given[3]},wrong,{given[4]}\n", encoding="utf-8"
        )
        exec(example, names)
        assert Path("audit.html").stat().st_size > 10_000
    influence: Any = names["influence"]
    assert influence.suspicion().shape == (len(given),)
    assert isinstance(names["cleaned"], gx.Cleaned)
