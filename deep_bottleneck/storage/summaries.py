"""A few numbers for each metric of a local record, beside its `metrics.json`.

A table over a thousand experiments reads these instead of every value of every metric.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deep_bottleneck.errors import RecordError
from deep_bottleneck.machine.whole_file import write_whole
from deep_bottleneck.storage.base import MetricSummary
from deep_bottleneck.storage.own_files import read_own

SUMMARY_FILE = ".metrics_summary.json"


def summarise(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, MetricSummary]:
    """Summarise metrics as Sacred stores them: by name, each with its "values"."""
    return {name: MetricSummary.of(metric["values"]) for name, metric in metrics.items()}


def write_summaries(metrics_path: Path, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the summaries of a `metrics.json` that is complete."""
    content = {"size": metrics_path.stat().st_size, "metrics": summarise(metrics)}
    write_whole(metrics_path.with_name(SUMMARY_FILE), json.dumps(content))


def read_summaries(metrics_path: Path) -> dict[str, list[float]] | None:
    """The summaries of a `metrics.json`, None if there are none of what it holds now.

    Metrics only grow, so summaries belong to the file of the size they name.
    """
    try:
        content = json.loads(read_own(metrics_path.with_name(SUMMARY_FILE)))
        if content["size"] == metrics_path.stat().st_size:
            metrics: dict[str, list[float]] = content["metrics"]
            return metrics
    except (KeyError, OSError, RecordError, RecursionError, TypeError, ValueError):
        pass
    return None
