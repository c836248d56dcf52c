"""How long it takes to submit a sweep and to ask for it, and how large one record is.

    python -m benchmarks.launching [--experiments 1000]

Submits held jobs to the schedulers that answer on this machine and cancels them. The baseline is
what a shell loop does: a submit command for each experiment.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from deep_bottleneck.launching.submission import submissions

ROOT = Path(__file__).resolve().parent.parent
HOLD = {"sge": "-h", "slurm": "--hold"}
SUBMIT = {"sge": ["qsub", "-h", "-o", "/dev/null", "-j", "y"], "slurm": ["sbatch", "--hold"]}
ASK = {"sge": ["qstat", "-f"], "slurm": ["sinfo"]}
CANCEL = {"sge": ["qdel"], "slurm": ["scancel"]}
SCRIPT = "#!/bin/bash\n#$ -S /bin/bash\ntrue\n"
ONE_BY_ONE = 50


def main() -> None:
    """Print a line for each scheduler, and the size of a record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--experiments", type=int, default=1000)
    n_experiments = parser.parse_args().experiments
    with tempfile.TemporaryDirectory() as scratch:
        for name in filter(_answers, HOLD):
            _measure(name, n_experiments, Path(scratch) / name)
        _measure_record(Path(scratch) / "one")


def _answers(name: str) -> bool:
    return (
        shutil.which(ASK[name][0]) is not None
        and subprocess.run(ASK[name], capture_output=True, check=False).returncode == 0  # noqa: S603
    )


def _measure(name: str, n_experiments: int, folder: Path) -> None:
    folder.mkdir()
    config = _config(folder, n_experiments)
    submit = ["-d", str(config), "--launcher", name, f"--submit-args={HOLD[name]}"]
    try:
        submitting = _timed(folder, *submit)
        (submission,) = submissions(folder / "output")
        for number in range(1, n_experiments // 2 + 1):
            told = {"id": str(number), "status": "COMPLETED", "epoch": 0, "epochs": 1, "error": ""}
            submission.report_path(number).write_text(json.dumps(told))
        asking = _timed(folder, "--status")
    finally:
        _timed(folder, "--cancel")
    baseline = _one_by_one(name, folder) * n_experiments / ONE_BY_ONE
    print(
        f"{name}: {n_experiments} experiments submitted in {submitting}; a command each takes "
        f"{baseline:.1f} s ({baseline / submitting.elapsed:.1f} times as long); --status on them "
        f"takes {asking}"
    )


def _config(folder: Path, n_experiments: int) -> Path:
    path = folder / "sweep.json"
    values = {"epochs": 1, "architecture": [2], "grid": {"seed": list(range(n_experiments))}}
    path.write_text(json.dumps(values))
    return path


class Seconds(NamedTuple):
    """How long a command took: by the clock, and of a processor, which other work leaves alone."""

    elapsed: float
    processor: float

    def __str__(self) -> str:
        return f"{self.elapsed:.1f} s ({self.processor:.1f} s of a processor)"


def _timed(folder: Path, *arguments: str) -> Seconds:
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    _call([sys.executable, str(ROOT / "run_experiments.py"), *arguments], folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Seconds(time.perf_counter() - start, used)


def _call(command: Sequence[str], folder: Path) -> str:
    places = {
        "DEEP_BOTTLENECK_RUNS": str(folder / "runs"),
        "DEEP_BOTTLENECK_OUTPUT": str(folder / "output"),
    }
    result = subprocess.run(  # noqa: S603
        command,
        cwd=folder,
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


def _one_by_one(name: str, folder: Path) -> float:
    """Seconds that `ONE_BY_ONE` submit commands take."""
    script = folder / "job.sh"
    script.write_text(SCRIPT)
    terse = {"sge": "-terse", "slurm": "--parsable"}[name]
    start = time.perf_counter()
    jobs = [_call([*SUBMIT[name], terse, str(script)], folder) for _ in range(ONE_BY_ONE)]
    seconds = time.perf_counter() - start
    _call([*CANCEL[name], *(job.strip() for job in jobs)], folder)
    return seconds


def smallest_record(folder: Path) -> Path:
    """The record of the smallest experiment there is.

    Args:
        folder: where it is launched, with what the launch leaves in `output` and records in `runs`.
    """
    _call([sys.executable, str(ROOT / "run_experiments.py"), "-d", str(_config(folder, 1))], folder)
    return folder / "runs" / "1"


def _measure_record(folder: Path) -> None:
    folder.mkdir()
    for title, path in (("record", smallest_record(folder)), ("launch", folder / "output")):
        files = [file for file in path.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        print(f"one {title}: {len(files)} files, {size / 1024:.1f} KiB")


if __name__ == "__main__":
    main()
