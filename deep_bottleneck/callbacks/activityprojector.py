"""Writes activations and labels for TensorBoard's Embedding Projector.

    "callbacks": [["callbacks.activityprojector", ["logs"]]]

    tensorboard --logdir logs

TensorBoard reads tables of tab-separated values beside a `projector_config.pbtxt` that lists them.
"""

from pathlib import Path
from typing import Any

import numpy as np

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Dataset, FloatArray, IntArray, LabelledDataset, RunGroup
from deep_bottleneck.machine.whole_file import write_whole
from deep_bottleneck.training.recorder import ScheduledRecorder, State

CONFIG_NAME = "projector_config.pbtxt"
LABELS_NAME = "labels.tsv"


def load(
    dataset: Dataset,
    log_dir: str | None = None,
    part: str = "test",
    embeddings_freq: int = 10,
    n_examples: int = 1000,
    run: Any = None,
) -> "ActivityProjector":
    """A recorder that writes into a log folder of TensorBoard.

    Args:
        dataset: whose examples go through the networks.
        log_dir: the folder, one for each experiment; null for `logs/<id>`.
        part: "train" or "test".
        embeddings_freq: after how many epochs to write again; 0 for only when a run ends.
        n_examples: how many examples to write at most, the first of the part.
        run: the experiment, for its id.

    Raises:
        ConfigError: if an argument is none of these, TensorBoard is not installed or the folder
            cannot be written.
    """
    if part not in ("train", "test"):
        raise ConfigError(
            f'"callbacks": activityprojector projects "train" or "test" examples, not {part!r}'
        )
    for name, value, least in (
        ("embeddings_freq", embeddings_freq, 0),
        ("n_examples", n_examples, 1),
    ):
        if not isinstance(value, int) or value < least:
            raise ConfigError(
                f'"callbacks": activityprojector needs a whole number of at least {least} as '
                f"{name}, got {value!r}"
            )
    labelled: LabelledDataset = getattr(dataset, part)
    folder = Path("logs", str(getattr(run, "_id", ""))) if log_dir is None else Path(log_dir)
    return ActivityProjector(
        folder, labelled.examples[:n_examples], labelled.labels[:n_examples], embeddings_freq
    )


class ActivityProjector(ScheduledRecorder):
    """Writes what every layer with weights makes of the examples, for all runs at once.

    Each embedding is named after its run, epoch and layer. What is written can be looked at while
    training goes on.
    """

    def __init__(
        self, log_dir: Path, examples: FloatArray, labels: IntArray, embeddings_freq: int
    ) -> None:
        """Make the folder and write the labels.

        Args:
            log_dir: the folder.
            examples: shape (n_examples, ...).
            labels: shape (n_examples,).
            embeddings_freq: after how many epochs to write, 0 for only at the end.

        Raises:
            ConfigError: if TensorBoard is not installed or the folder cannot be written.
        """
        super().__init__(lambda epoch: embeddings_freq > 0 and epoch % embeddings_freq == 0)
        self._log_dir = log_dir
        self._examples = examples
        self._new_config = _config_type()
        self._titles: list[str] = []
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            np.savetxt(log_dir / LABELS_NAME, labels, fmt="%d")
        except OSError as error:
            raise ConfigError(
                f'"callbacks": activityprojector cannot write into {log_dir}: {error}'
            ) from None

    def record(self, epoch: int, group: RunGroup, due: IntArray) -> None:
        """Write a table for each layer of the runs that are due, then list it."""
        activations = group.activations(self._examples)
        for row in due:
            for index, (layer, values) in enumerate(
                zip(group.layer_outputs, activations, strict=True)
            ):
                title = f"run_{group.runs[row]}_epoch_{epoch}_layer_{index}_{layer.name}"
                self._write(title, values[row])
        self._list_all()

    def state(self) -> State:
        """The titles of the embeddings."""
        return {"titles": self._titles}

    def restore(self, state: State) -> None:
        """List them again."""
        self._titles = list(state["titles"])

    def _write(self, title: str, values: FloatArray) -> None:
        np.savetxt(self._log_dir / f"{title}.tsv", values, fmt="%.6g", delimiter="\t")
        self._titles.append(title)

    def _list_all(self) -> None:
        from google.protobuf import text_format

        config = self._new_config()
        for title in self._titles:
            embedding = config.embeddings.add()
            embedding.tensor_name = title
            embedding.tensor_path = f"{title}.tsv"
            embedding.metadata_path = LABELS_NAME
        write_whole(self._log_dir / CONFIG_NAME, text_format.MessageToString(config))


def _config_type() -> Any:
    try:
        from tensorboard.plugins import projector
    except ImportError:
        raise ConfigError(
            '"callbacks": activityprojector needs TensorBoard; '
            "install it by pip install -r requirements/tensorboard.txt"
        ) from None
    return projector.ProjectorConfig
