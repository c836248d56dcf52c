"""Time to find and tabulate 1,000 stored experiments, against reading them one by one.

Each has 50 metrics of 100 values. The board's first page is asked for again (what it has read
holds until a file changes), and as the first of a board that has just started. The database is
TEST_MONGO_URI, or a server of our own.

python -m benchmarks.evaluation
python -m benchmarks.evaluation --experiments 5000 --metrics 8
"""

import argparse
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.mongo_server import mongo_server
from benchmarks.timing import milliseconds
from deep_bottleneck.board.app import create_app
from deep_bottleneck.config import Config
from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.storage.folder_store import CONFIG_FILE, METRICS_FILE, RUN_FILE, FolderStore
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.own_files import write_json
from deep_bottleneck.storage.summaries import write_summaries

N_VALUES = 100
METRIC = "metric.7"
ON = ["activation_fn", "epochs", METRIC]


def documents(number: int, n_metrics: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The run, config and metrics of an experiment, as Sacred stores them."""
    generator = np.random.default_rng(number)
    start = datetime.now(UTC).replace(tzinfo=None)
    sources = [[f"deep_bottleneck/module_{i}.py", f"_sources/module_{i}.py"] for i in range(80)]
    run = {
        "experiment": {"name": "deep-bottleneck", "sources": sources, "repositories": []},
        "host": {"hostname": "here", "python_version": "3.11"},
        "status": "COMPLETED",
        "start_time": start.isoformat(),
        "stop_time": start.isoformat(),
        "artifacts": [],
        "result": {"test": 0.9},
    }
    config = Config.parse(
        {"epochs": number + 1, "activation_fn": "relu" if number % 4 else "tanh", "seed": number}
    ).defaults()
    metrics = {
        f"metric.{i}": {
            "steps": list(range(N_VALUES)),
            "values": generator.random(N_VALUES).tolist(),
            "timestamps": [start.isoformat()] * N_VALUES,
        }
        for i in range(n_metrics)
    }
    return run, config, metrics


def fill(local: FolderStore, database: MongoStore, n_experiments: int, n_metrics: int) -> None:
    """Store the experiments in both."""
    for number in range(1, n_experiments + 1):
        run, config, metrics = documents(number, n_metrics)
        folder = local.folder_of(number)
        folder.mkdir()
        write_json(folder / RUN_FILE, run)
        write_json(folder / CONFIG_FILE, config)
        write_json(folder / METRICS_FILE, metrics)
        write_summaries(folder / METRICS_FILE, metrics)
        database.insert({**run, "_id": number, "identity": str(number), "config": config})
        rows = [{"run_id": number, "name": name, **metric} for name, metric in metrics.items()]
        database.database["metrics"].insert_many(rows)


def find_one_by_one(loader: ExperimentLoader) -> list[Any]:
    """Experiments with tanh, each asked for its config."""
    return [e.id for e in loader.find_all() if "tanh" in e.config["activation_fn"]]


def tabulate_one_by_one(loader: ExperimentLoader) -> pd.DataFrame:
    """The table of `project`, each experiment asked for its config and metrics."""
    rows = {
        e.id: [e.config["activation_fn"], e.config["epochs"], e.metrics[METRIC].iloc[-1]]
        for e in loader.find_all()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=ON)


def compare(place: str, loader: ExperimentLoader, rounds: int) -> None:
    """Time both ways and print the ratio."""
    board = create_app(loader).test_client()
    functions = {
        "find_by_config_key": lambda: loader.find_by_config_key("activation_fn", "^tanh$"),
        "  one by one": lambda: find_one_by_one(loader),
        "project": lambda: loader.find_all().project(ON),
        "  each by itself": lambda: tabulate_one_by_one(loader),
        "board's first page": lambda: board.get("/"),
        "  of each by itself": lambda: tabulate_one_by_one(loader),
        "first of a new board": lambda: create_app(loader).test_client().get("/"),
        "  as before": lambda: tabulate_one_by_one(loader),
    }
    times = [time.fastest for time in milliseconds(functions, rounds, window=1).values()]
    for name, ours, theirs in zip(list(functions)[::2], times[::2], times[1::2], strict=True):
        print(f"{place:9} {name:20} {ours:8.0f} ms {theirs:8.0f} ms {theirs / ours:8.1f}")


@contextmanager
def database_uri(folder: Path) -> Iterator[str]:
    """The address of a database for the benchmark."""
    if given := os.environ.get("TEST_MONGO_URI"):
        yield given
        return
    with mongo_server(folder) as server:
        yield server.uri


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--metrics", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, database_uri(Path(name)) as uri:
        runs = Path(name) / "runs"
        runs.mkdir()
        local = ExperimentLoader(path=runs)
        database = ExperimentLoader(mongo_uri=uri, db_name=f"benchmark_{uuid.uuid4().hex[:8]}")
        if not (isinstance(local.store, FolderStore) and isinstance(database.store, MongoStore)):
            raise TypeError("the loaders have chosen other stores")
        try:
            fill(local.store, database.store, options.experiments, options.metrics)
            print(
                f"{options.experiments} experiments, {options.metrics} metrics of {N_VALUES} "
                "values each"
            )
            print(f"{'store':9} {'call':20} {'at once':>11} {'one by one':>11} {'ratio':>8}")
            compare("local", local, options.rounds)
            compare("database", database, options.rounds)
        finally:
            database.store.database.client.drop_database(database.store.database.name)


if __name__ == "__main__":
    main()
