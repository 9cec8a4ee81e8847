"""Every public method: what it takes, what it asks of a backend, what it costs.

One table for command line, documents and tests.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import gexcore
from gexcore.cli.ways import Way, count


@dataclass(frozen=True)
class Method:
    """A public method.

    Parameters
    ----------
    name : str
        Name of its class in `gexcore`.
    kind : {"influence", "score"}
    ways : tuple of Way
        The first is the usual one.
    """

    name: str
    kind: Literal["influence", "score"]
    ways: tuple[Way, ...]

    @property
    def cls(self) -> Any:
        """The class."""
        return getattr(gexcore, self.name)

    @property
    def summary(self) -> str:
        """The first sentence of its documentation."""
        return " ".join((self.cls.__doc__ or "").partition("\n\n")[0].split())

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of its settings."""
        return tuple(f.name for f in fields(self.cls))

    def label(self, way: Way) -> str:
        """Its name, with what tells the way from others."""
        return f"{self.name}({way.arguments})"


STEPS = {"step": count(("M", "E"))}

METHODS = (
    Method(
        "GEX",
        "influence",
        (
            Way(passes={"forward": count(2), "step": count("R")}),
            Way(takes="ensemble", passes={"forward": count(2, "M"), **STEPS}),
            Way(
                settings={"scoring": "training_batches"},
                needs=("donated steps", "training losses"),
                passes={"forward": count(2), **STEPS},
            ),
        ),
    ),
    Method(
        "GEXLin",
        "influence",
        (Way(needs=("params",), passes={"forward": count(2, "M"), **STEPS, "gradient": count(1)}),),
    ),
    Method(
        "GEXRidge",
        "influence",
        (Way(passes={"forward": count(2, "M", "A"), "step": count("A", ("M", "E"))}),),
    ),
    Method(
        "IF",
        "influence",
        (
            Way(
                needs=("params", "hvp"),
                passes={"forward": count(1), "hvp": count("p"), "gradient": count(1)},
            ),
        ),
    ),
    Method(
        "Arnoldi",
        "influence",
        (
            Way(
                needs=("params", "hvp"),
                passes={"forward": count(1), "hvp": count(("J", "h")), "gradient": count(1)},
            ),
        ),
    ),
    Method(
        "LiSSA",
        "influence",
        (
            Way(
                needs=("params", "hvp", "per-sample gradients"),
                passes={"forward": count(1), "hvp": count(("J", "B")), "gradient": count(1)},
            ),
        ),
    ),
    Method(
        "Laplace",
        "influence",
        (
            Way(
                needs=("params", "Kronecker factors"),
                passes={"forward": count(2, "S"), "gradient": count(1)},
            ),
            Way(
                settings={"structure": "full"},
                needs=("params", "hvp"),
                passes={"forward": count(2, "S"), "hvp": count("p")},
            ),
        ),
    ),
    Method(
        "RandProj",
        "influence",
        (Way(needs=("params",), passes={"forward": count(1), "gradient": count(1)}),),
    ),
    Method(
        "TracIn",
        "influence",
        (
            Way(
                takes="checkpoints",
                needs=("params", "per-sample gradients", "checkpoints"),
                passes={"forward": count(1), "gradient": count("C")},
            ),
        ),
    ),
    Method(
        "TracInRP",
        "influence",
        (
            Way(
                takes="checkpoints",
                needs=("params", "checkpoints"),
                passes={"forward": count(1), "gradient": count("C")},
            ),
            Way(
                takes="ensemble",
                needs=("params",),
                passes={"forward": count(2, "M"), **STEPS, "gradient": count("M")},
            ),
        ),
    ),
    Method(
        "LastLayer",
        "influence",
        (
            Way(
                takes="method",
                needs=("params", "hvp", "parameter selection"),
                passes={"forward": count(1), "hvp": count("p"), "gradient": count(1)},
            ),
        ),
    ),
    Method(
        "LOO",
        "influence",
        (Way(takes="train", passes={"forward": count(2, "K", ("K", "/N"))}, trainings=count("K")),),
    ),
    Method("Loss", "score", (Way(passes={"forward": count(1)}),)),
    Method("Margin", "score", (Way(needs=("logits",), passes={"forward": count(2)}),)),
    Method(
        "MeanMemberLoss",
        "score",
        (
            Way(takes="checkpoints", needs=("checkpoints",), passes={"forward": count(1, "C")}),
            Way(takes="recorder"),
        ),
    ),
    Method(
        "EL2N",
        "score",
        (
            Way(takes="recorder"),
            Way(
                takes="checkpoints",
                needs=("logits", "checkpoints"),
                passes={"forward": count(1, "C")},
            ),
        ),
    ),
    Method(
        "GraNd",
        "score",
        (
            Way(
                needs=("params", "per-sample gradients"),
                passes={"forward": count(1), "gradient": count("C")},
            ),
            Way(
                takes="checkpoints",
                needs=("params", "per-sample gradients", "checkpoints"),
                passes={"forward": count(1), "gradient": count("C")},
            ),
        ),
    ),
    Method("Forgetting", "score", (Way(takes="recorder"),)),
    Method("AUM", "score", (Way(takes="recorder"),)),
    Method(
        "DeepKNN",
        "score",
        (
            Way(needs=("logits",), passes={"forward": count(1, "C")}),
            Way(
                settings={"features": "features"},
                needs=("features",),
                passes={"forward": count(1, "C")},
            ),
            Way(
                takes="checkpoints",
                needs=("logits", "checkpoints"),
                passes={"forward": count(1, "C")},
            ),
        ),
    ),
    Method(
        "ConfidentLearning",
        "score",
        (
            Way(takes="probabilities"),
            Way(
                takes="train", needs=("logits",), passes={"forward": count(1)}, trainings=count("K")
            ),
        ),
    ),
)
"""In the order in which they are told."""


def by_name(name: str) -> Method | None:
    """The method of this name, in any case; None where there is none."""
    return next((method for method in METHODS if method.name.lower() == name.lower()), None)
