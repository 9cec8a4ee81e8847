"""What importing gexcore, and `gexcore --help`, take beyond an interpreter with NumPy: CPU time in
ms.

    python -m bench.studies.cost_of_start [--rounds 15]

Every process starts anew, in turn with a bare one; the first round, which may compile, does not
count. Prints medians and quartiles of the differences.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

import numpy as np

COMMANDS = {
    "interpreter and NumPy": ("-c", "import numpy"),
    "import gexcore": ("-c", "import numpy, gexcore"),
    "gexcore --help": ("-m", "gexcore", "--help"),
}


def milliseconds(command: tuple[str, ...]) -> float:
    """CPU time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    found = np.array(
        [[milliseconds(command) for command in COMMANDS.values()] for _ in range(rounds + 1)]
    )[1:]
    for number, name in enumerate(COMMANDS):
        low, middle, high = np.quantile(
            found[:, number] - (found[:, 0] if number else 0), (0.25, 0.5, 0.75)
        )
        print(f"{name}: {middle:.0f} ms ({low:.0f} – {high:.0f})")


if __name__ == "__main__":
    main()
