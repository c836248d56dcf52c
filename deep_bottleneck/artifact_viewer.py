"""Artifacts of one experiment, by its id."""

from pathlib import Path

from deep_bottleneck.eval_tools.artifacts import (
    Artifact,
    CSVArtifact,
    MP4Artifact,
    PNGArtifact,
)
from deep_bottleneck.eval_tools.loader import ExperimentLoader
from deep_bottleneck.storage.base import ExperimentId

__all__ = ["Artifact", "ArtifactLoader", "CSVArtifact", "MP4Artifact", "PNGArtifact"]


class ArtifactLoader:
    """Loads the artifacts of stored experiments."""

    def __init__(
        self,
        mongo_uri: str | None = None,
        db_name: str | None = None,
        path: str | Path | None = None,
    ) -> None:
        """Choose where to look, as for an `ExperimentLoader`."""
        self._loader = ExperimentLoader(mongo_uri, db_name, path)

    def load(self, experiment_id: ExperimentId) -> dict[str, Artifact]:
        """The artifacts of an experiment by name.

        Raises:
            RecordError: if there is no such experiment, or it cannot be read.
        """
        return self._loader.find_by_id(experiment_id).artifacts
