"""One stored experiment."""

import re
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from deep_bottleneck.errors import MissingTableError, RecordError
from deep_bottleneck.eval_tools import former_names, html
from deep_bottleneck.eval_tools.artifacts import Artifact, CSVArtifact, PNGArtifact, artifact
from deep_bottleneck.eval_tools.former_names import Named
from deep_bottleneck.measuring.tables import (
    is_information,
    read_growing,
    read_information,
    with_method,
)
from deep_bottleneck.storage.base import Entry, ExperimentId, RecordStore, listed
from deep_bottleneck.storage.own_files import reading


class Experiment:
    """A stored experiment; every attribute is read when it is asked for, and so never stale.

    Attributes:
        id: its id in its store.
    """

    def __init__(self, store: RecordStore, experiment_id: ExperimentId) -> None:
        self._store = store
        self.id = experiment_id

    def __repr__(self) -> str:
        return f"Experiment({self.id!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Experiment):
            return NotImplemented
        return self.id == other.id and self._store is other._store

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def name(self) -> str:
        """The name of the experiment."""
        return self._entry.name

    @property
    def config(self) -> dict[str, Any]:
        """The hyperparameters."""
        return self._one(self._store.configs([self.id]))

    @property
    def seed(self) -> int | None:
        """Where all randomness started."""
        return self.config.get("seed")

    @property
    def status(self) -> str:
        """QUEUED, RUNNING, COMPLETED, FAILED, INTERRUPTED, TIMEOUT if it was told to end in time.

        LOST if its process has ended without a word, or fell silent where nobody can ask for it.
        """
        return self._entry.status

    @property
    def start_time(self) -> datetime | None:
        """When it started, in UTC."""
        return self._entry.start_time

    @property
    def stop_time(self) -> datetime | None:
        """When it ended, in UTC."""
        return self._entry.stop_time

    @property
    def heartbeat(self) -> datetime | None:
        """When it last showed that it was alive, in UTC."""
        return self._entry.heartbeat

    @property
    def result(self) -> Any:
        """What it returned: the final accuracy by part of the data."""
        return self._entry.result

    @property
    def sources(self) -> tuple[str, ...]:
        """The source files that were stored with it."""
        return self._entry.sources

    @property
    def commit(self) -> str | None:
        """The commit of the project, None if it was under no version control."""
        return self._entry.commit

    @property
    def tags(self) -> tuple[str, ...]:
        """What people have called it."""
        return self._entry.tags

    @property
    def metrics(self) -> Named[pd.Series]:
        """Metrics by name, each a series of floats indexed by step."""
        return Named(self._one(self._store.metrics([self.id])), former_names.of_metrics)

    @property
    def artifacts(self) -> Named[Artifact]:
        """Artifacts by name; their content is read when it is asked for."""
        files = self._store.files(self.id).items()
        found = {name: artifact(file, self.id) for name, file in files}
        return Named(found, former_names.of_artifacts)

    def information_measures(
        self, estimator: str | None = None, part: str = "test"
    ) -> pd.DataFrame:
        """The tidy table of mutual information, in bits; while it runs, all that there is by now.

        Args:
            estimator: which estimator of an experiment that has several, by the module with or
                without its parameter ("upper", "upper_0.001"), or as the table calls its method
                ("binning"); None for all of them.
            part: which part of the data: "train", "test" or "full".

        Returns:
            The columns that `deep_bottleneck.measuring.estimation.estimate` describes.

        Raises:
            MissingTableError: if the experiment has no such table.
            RecordError: if one of its tables cannot be read.
        """
        with reading(f"the information of experiment {self.id}"):
            tables = {
                name: read_information(name, found.read())
                for name, found in self.artifacts.items()
                if isinstance(found, CSVArtifact) and is_information(name)
            }
            growing = {
                name: read_growing(name, artifact(file, self.id).read())
                for name, file in self._store.growing(self.id).items()
                if is_information(name) and name not in tables
            }
            tables |= {name: table for name, table in growing.items() if not table.empty}
            if any("estimator" not in table for table in tables.values()):
                config = self.config
                tables = {name: with_method(table, config) for name, table in tables.items()}
            frames = [
                table
                for table in tables.values()
                if (table["part"] == part).all() and _is_of(estimator, table)
            ]
        lacking = self._store.lacking(self.id)
        damaged = {name: why for name, why in lacking.items() if is_information(name)}
        if not frames and damaged:
            raise RecordError(f"its tables cannot be read: {listed(damaged)}")
        if not frames:
            raise MissingTableError(
                f"Experiment {self.id} has no information measures of the {part} data"
                + (f" by {estimator}" if estimator else "")
                + f"; it has {', '.join(tables) or 'none at all'}"
            )
        return pd.concat(frames, ignore_index=True)

    def attach(self, name: str, result: str | Path | Figure | pd.DataFrame) -> Artifact:
        """Add a result to the stored experiment.

        Args:
            name: what the new artifact is called.
            result: a file, which is copied; a figure, stored as PNG; or a table, stored as CSV.

        Raises:
            RecordError: if the experiment has not ended, or has such an artifact already.
            TypeError: if the result is something else.
        """
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "result"
            match result:
                case str() | Path():
                    path = Path(result)
                case Figure():
                    path = path.with_suffix(".png")
                    result.savefig(path)
                case pd.DataFrame():
                    path = path.with_suffix(".csv")
                    result.to_csv(path, index=any(result.index.names))
                case _:
                    raise TypeError(
                        f"expected a path, a matplotlib Figure or a pandas DataFrame to attach, "
                        f"not a {type(result).__name__}"
                    )
            if not path.is_file():
                raise RecordError(f"{path} cannot be attached: there is no such file")
            self._store.attach(self.id, path, name)
        return self.artifacts[name]

    def tag(self, *tags: str) -> None:
        """Replace the tags.

        Raises:
            RecordError: if the experiment has not ended.
        """
        self._store.tag(self.id, tags)

    def delete(self, confirmed: bool = False) -> bool:
        """Delete the experiment with its metrics and artifacts, for good.

        Args:
            confirmed: whether not to ask first.

        Returns:
            Whether it was deleted.

        Raises:
            RecordError: if there is no such experiment any more.
        """
        if not confirmed:
            question = f"Delete experiment {self.id} with its metrics and artifacts? [y/N] "
            if input(question).strip().lower() not in ("y", "yes"):
                return False
        self._store.delete(self.id)
        return True

    def _repr_html_(self) -> str:
        """The config as a table, and the pictures small."""
        entry = self._entry
        facts = {"status": entry.status, "start": entry.start_time, "result": entry.result}
        drawn = [found for found in self.artifacts.values() if isinstance(found, PNGArtifact)]
        pictures = {found.name: found.read() for found in drawn[: html.THUMBNAILS]}
        return html.page(f"Experiment {self.id}: {entry.name}", facts, self.config, pictures)

    @property
    def _entry(self) -> Entry:
        return self._one(self._store.entries([self.id]))

    def _one(self, found: Mapping[ExperimentId, Any]) -> Any:
        try:
            return found[self.id]
        except KeyError:
            raise RecordError(
                f"Experiment {self.id} is not there any more, or cannot be read, in {self._store!r}"
            ) from None


def _is_of(estimator: str | None, table: pd.DataFrame) -> bool:
    """Whether a table is one of an estimator's, as a config names it or the table its method.

    The table says "binning (global)" where the module is `binning_global`.
    """
    if estimator is None:
        return True
    if table.empty:
        return False
    row = table.iloc[0]
    with_parameter = f"{row['module']}_{row['discretization_range']:g}"
    method = row.get("estimator", "")
    return estimator in {
        row["module"],
        with_parameter,
        f"{with_parameter}_{row['options']}",
        method,
        re.sub(r" \((\w+)\)", r"_\1", method),
    }
