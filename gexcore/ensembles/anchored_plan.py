"""The plan of an anchored ensemble: the way to an anchor, then short runs from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gexcore.backend.batches import subset_order, training_order
from gexcore.backend.protocols import Indices
from gexcore.ensembles.plan import Plan


@dataclass(frozen=True, kw_only=True)
class AnchoredPlan(Plan):
    """A plan of anchors and cold runs. A chain is one anchor and the members that start from it.

    Parameters
    ----------
    anchor_steps : int
        Steps from θ* to an anchor. 0 means that members start from θ*.
    subset : float or None
        Share of the samples that each member sees.
    own_statistics : bool
        Whether normalisation layers have new statistics for each member, and not for each anchor.
    """

    anchor_steps: int
    subset: float | None = None
    own_statistics: bool = True

    @property
    def shares_statistics(self) -> bool:
        """Whether members have the statistics of their anchor, which is one step away."""
        return not self.own_statistics

    @property
    def warmup_steps(self) -> int:
        """Steps from θ* to the anchor, the one warm-up chunk of a chain."""
        return self.anchor_steps

    def order(self, samples: int, chain: int) -> Iterator[tuple[Indices, int]]:
        """Endless training batches of a chain: positions, and the seed of each step."""
        if self.subset is None:
            return training_order(samples, self.batch_size, seed=self.seed, chain=chain)
        size = part_size(samples, self.subset)
        return subset_order(
            samples, self.batch_size, size=size, steps=self.steps, seed=self.seed, chain=chain
        )


def part_size(samples: int, share: float) -> int:
    """Samples that a member sees, of so many."""
    return max(1, round(share * samples))
