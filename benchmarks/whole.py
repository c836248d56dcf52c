"""Whole experiments, from the command to the last picture, with this code and with other commits.

python -m benchmarks.whole --before COMMIT
python -m benchmarks.whole --before COMMIT --only tishby --updates epochs=100

Each commit is checked out into a folder of its own and runs the same commands, turn by turn, with
the packages of this environment.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SMALLEST = ("epochs=2", "n_runs=1", "calculate_mi_for=[]", "plotters=[]")


class Cost(NamedTuple):
    """Of a command: how long it took, and the most memory of one of its processes."""

    seconds: float
    gigabytes: float


def sweep(folder: Path, size: int) -> Path:
    """A config file with so many of the smallest experiments."""
    path = folder / "sweep.json"
    values = {"epochs": 2, "calculate_mi_for": [], "plotters": []}
    path.write_text(json.dumps({**values, "grid": {"seed": list(range(size))}}))
    return path


def cost(code: Path, config: Path, updates: Sequence[str], folder: Path) -> Cost:
    """Run a config with the code in a folder."""
    records = {"DEEP_BOTTLENECK_RUNS": folder / "runs", "DEEP_BOTTLENECK_OUTPUT": folder / "output"}
    environment = {**os.environ, **{name: str(path) for name, path in records.items()}}
    command = [sys.executable, "run_experiments.py", "-d", str(config), *updates]
    with (folder / "log").open("w") as log:
        start = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603
            command, cwd=code, env=environment, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{' '.join(command)} in {code} failed: {(folder / 'log').read_text()}")
    return Cost(seconds, usage.ru_maxrss / 2**20)


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """The code of a commit in a folder of its own."""
    git = shutil.which("git") or sys.exit("benchmarks.whole needs git")
    code = folder / "code"
    subprocess.run(  # noqa: S603
        [git, "worktree", "add", "--quiet", "--detach", code, commit], cwd=ROOT, check=True
    )
    try:
        yield code
    finally:
        subprocess.run([git, "worktree", "remove", "--force", code], cwd=ROOT, check=True)  # noqa: S603


def main() -> None:
    """Print a line for each experiment: seconds and memory before and now, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", required=True, metavar="COMMIT", help="what to compare with")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="of tishby, basic, smallest, sweep"
    )
    parser.add_argument("--updates", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--sweep", type=int, default=100, help="experiments in the sweep")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        checked_out(options.before, Path(name)) as before,
    ):
        folder = Path(name)
        experiments = {
            "tishby": (Path("configs/tishby.json"), ()),
            "basic": (Path("configs/basic.json"), ()),
            "smallest": (Path("configs/basic.json"), SMALLEST),
            "sweep": (sweep(folder, options.sweep), ()),
        }
        print(f"{'':10}{'before':>20}{'now':>20}{'times faster':>14}")
        for chosen in options.only or experiments:
            config, updates = experiments[chosen]
            # the first start of this code compiles programs that later ones find
            costs = [
                cost(code, config, [*updates, *options.updates], folder) for code in (before, ROOT)
            ]
            columns = "".join(f"{one.seconds:10.1f} s {one.gigabytes:5.2f} GB" for one in costs)
            print(f"{chosen:10}{columns}{costs[0].seconds / costs[1].seconds:14.2f}", flush=True)


if __name__ == "__main__":
    main()
