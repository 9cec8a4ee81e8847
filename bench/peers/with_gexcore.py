"""gexcore, from the final checkpoint alone."""

from __future__ import annotations

from typing import Any

import gexcore as gx
from bench.peers.case import Case


def suspicion(case: Case) -> Any:
    influence = gx.GEX(seed=case.seed).fit(case.model(), (case.x, case.y), progress=False)
    return influence.suspicion()


def self_influence(case: Case) -> Any:
    influence = gx.GEX(seed=case.seed).fit(case.model(), (case.x, case.y), progress=False)
    return influence.self_influence()


METHODS = {"GEX(), suspicion": suspicion, "GEX(), self-influence": self_influence}
