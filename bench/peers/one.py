"""Runs one method of a peer on one case, in that peer's environment; prints a JSON line.

PYTHON -m bench.peers.one with_captum CASE_FOLDER METHOD CPU_SECONDS
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import resource
import sys
import textwrap
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.peers.case import read


def lines_of(function: Callable[..., Any], module: Any) -> int:
    """Lines of code that a user writes: the body, and classes of the module; no imports, no blank
    lines."""
    source = textwrap.dedent(inspect.getsource(function))
    count = code_lines(source) - 1
    tree = ast.parse(inspect.getsource(module))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return count + sum(
        code_lines(ast.get_source_segment(inspect.getsource(module), node) or "")
        for node in classes
    )


def code_lines(source: str) -> int:
    return sum(
        1 for line in source.splitlines() if line.strip() and not line.strip().startswith("#")
    )


def highest_size() -> int:
    """Resident size of this process at most so far, in bytes (Linux)."""
    found = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return 1024 * int(found.split()[1])


def main(name: str, folder: Path, method: str, limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 60))
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    case = read(folder)
    module = importlib.import_module(f"bench.peers.{name}")
    score = module.METHODS[method]
    row: dict[str, Any] = {"method": method, "lines": lines_of(score, module)}
    Path("/proc/self/clear_refs").write_text(
        "5"
    )  # the highest size starts anew from the present one
    before, cpu, wall = highest_size(), time.process_time(), time.perf_counter()
    try:
        scores = np.asarray(torch.as_tensor(score(case)).detach().numpy(), dtype=np.float64).ravel()
        if scores.shape != (len(case.y),):
            raise ValueError(f"{scores.shape} scores for {len(case.y)} samples")
        row["scores"] = scores.tolist()
    except Exception as error:
        traceback.print_exc()
        row["error"] = f"does not run: {type(error).__name__}: {error}".splitlines()[0][:160]
    row |= {"seconds": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    row["bytes"] = highest_size() - before
    print("ROW " + json.dumps(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
