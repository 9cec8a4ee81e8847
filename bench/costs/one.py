"""Times one framework; prints one JSON line per model. `study.py` runs it."""

from __future__ import annotations

import importlib
import json
import sys
from importlib.metadata import version

import numpy as np

from gexcore.backend.data import as_dataset
from gexcore.evaluation.timing import interleaved, kernels_of, on_host

PACKAGES = {"sklearn": "scikit-learn"}


def main(framework: str, rounds: int) -> None:
    package = PACKAGES.get(framework, framework)
    for case in importlib.import_module(f"nets_{framework}").cases():
        size = len(case.data[1])
        ours = kernels_of(case.backend, as_dataset(case.data, case.backend), np.arange(size))
        kernels = {"bare forward": on_host(case.forward), "bare step": on_host(case.step)}
        kernels |= {name: ours[name] for name in ("forward", "step", "jvp") if name in ours}
        times = {
            name: seconds.tolist() for name, seconds in interleaved(kernels, repeats=rounds).items()
        }
        row = {
            "framework": f"{package} {version(package)}",
            "model": case.name,
            "samples": size,
            "times": times,
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
