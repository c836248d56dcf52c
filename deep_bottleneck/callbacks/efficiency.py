"""Records how much of its state space each layer uses, and the network's efficiency and aIQ.

Schaub and Hotaling, "Assessing Intelligence in Artificial Neural Networks", 2020, arXiv:2006.02909.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from deep_bottleneck.errors import ConfigError, EstimationError
from deep_bottleneck.interfaces import (
    BoolArray,
    Dataset,
    FloatArray,
    IntArray,
    LayerOutput,
    Record,
    RunGroup,
    TableRecord,
)
from deep_bottleneck.state_space import AbstractStateCapture, aIQ, network_efficiency
from deep_bottleneck.training.recorder import Recorder
from deep_bottleneck.training.schedule import Schedule, due_runs

TABLES = ("efficiency",)
COLUMNS = (
    "run",
    "epoch",
    "layer",
    "layer_name",
    "efficiency",
    "undersampled",
    "network_efficiency",
    "accuracy",
    "aIQ",
)
EXAMPLES_PER_BATCH = 200

logger = logging.getLogger(__name__)


def load(
    run: Record, tables: TableRecord, dataset: Dataset, schedule: Schedule, beta: float = 2
) -> "EfficiencyRecorder":
    """A recorder that leaves the table `efficiency` and logs its means over runs as metrics.

    Args:
        run: where the metrics go.
        tables: where the table goes.
        dataset: whose test examples the states are observed on.
        schedule: the epochs to record.
        beta: how much more the accuracy counts than the efficiency in aIQ.

    Raises:
        ConfigError: if beta is not a number above 0.
    """
    is_number = isinstance(beta, int | float) and not isinstance(beta, bool)
    if not (is_number and beta > 0 and math.isfinite(beta)):
        raise ConfigError(f'"callbacks": efficiency needs a number above 0 as beta, got {beta!r}')
    return EfficiencyRecorder(run, tables, dataset, schedule, beta)


class EfficiencyRecorder(Recorder):
    """Counts firing states of the test examples at every layer with a kernel but the readout.

    Each example gives one state for each position of a convolution. States are counted batch by
    batch, so that memory holds the distinct states of one epoch and no activations but a batch's.
    The readout is left out: all outputs of a softmax are above zero, which is one state, and the
    network's efficiency, a geometric mean, would be 0.

    The table has the columns run, epoch, layer, layer_name, efficiency, undersampled (whether too
    few states were observed to tell the layer's efficiency) and, the same for all layers of a run
    and epoch, network_efficiency, accuracy (on the test examples; NaN for models compiled without
    it) and aIQ. Where activations are NaN, as those of a run that diverged, so are the efficiencies
    and aIQ, and the log says so once for each layer.
    """

    def __init__(
        self, run: Record, tables: TableRecord, dataset: Dataset, schedule: Schedule, beta: float
    ) -> None:
        super().__init__()
        self._run = run
        self._tables = tables
        self._dataset = dataset  # not the array, which would be among what a checkpoint stores
        self._schedule = schedule
        self._beta = beta
        self._rows: list[dict[str, Any]] = []
        self._told: set[str] = set()

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Record the epoch if it is scheduled, and in any case the runs that end with it.

        Raises:
            ConfigError: if the model has no layer with a kernel but its readout.
        """
        due = due_runs(self._schedule, epoch, stopping)
        if not len(due):
            return
        hidden = group.layer_outputs[:-1]
        if not hidden:
            raise ConfigError(
                '"callbacks": efficiency needs a model with a hidden layer, this one has only its '
                f"readout {group.layer_outputs[-1].name}"
            )
        accuracy = logs.get("val_accuracy", np.full(len(group.runs), np.nan, np.float32))
        states = self._observed(group, hidden, due)
        for row, of_layers in zip(due, states, strict=True):
            run = group.runs[row]
            efficiencies = [self._efficiency(layer, run, epoch) for layer in of_layers]
            rows = _rows(of_layers, efficiencies, run, epoch, float(accuracy[row]), self._beta)
            self._tables.append("efficiency", pd.DataFrame(rows, columns=COLUMNS))
            self._rows += rows

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Store the table and log its means over runs."""
        if not self._rows:
            return
        table = pd.DataFrame(self._rows, columns=COLUMNS)
        table = table.sort_values(["run", "epoch", "layer"], ignore_index=True)
        self._tables.add("efficiency", table)
        for name, means in _means(table):
            for epoch, mean in zip(means.index.tolist(), means.tolist(), strict=True):
                self._run.log_scalar(name, mean, epoch)

    def _observed(
        self, group: RunGroup, layers: Sequence[LayerOutput], due: IntArray
    ) -> list[list["_LayerStates"]]:
        """The firing states of each due run's layers."""
        states = [[_LayerStates(layer) for layer in layers] for _ in due]
        examples = self._dataset.test.examples
        for start in range(0, len(examples), EXAMPLES_PER_BATCH):
            batch = examples[start : start + EXAMPLES_PER_BATCH]
            of_group = group.outputs(batch)
            for row, of_layers in zip(due, states, strict=True):
                for layer, activations in zip(of_layers, of_group, strict=False):
                    layer.observe(activations[row])
        return states

    def _efficiency(self, layer: "_LayerStates", run: int, epoch: int) -> float:
        try:
            # not efficiency(), which warns of what the table says in its column undersampled
            return layer.entropy() / layer.max_entropy()
        except EstimationError as error:
            if layer.name not in self._told:
                self._told.add(layer.name)
                where = f"run {run} at epoch {epoch}, perhaps in others too"
                logger.warning("efficiency of %s is NaN in %s: %s", layer.name, where, error)
            return math.nan


class _LayerStates(AbstractStateCapture):
    """The firing states of one layer of one run."""

    def __init__(self, layer: LayerOutput) -> None:
        self.name = layer.name
        self._shape = layer.shape
        axis = layer.neuron_axis
        self._set_up_capture(None, axis if axis < 0 else axis + 1)

    def observe(self, activations: Any) -> None:
        """Count the states of a batch of activations, shape (n_examples, n_units).

        A tensor on a GPU is packed into bits there.
        """
        self.record(activations.reshape(-1, *self._shape))


def _rows(
    layers: Sequence[_LayerStates],
    efficiencies: Sequence[float],
    run: int,
    epoch: int,
    accuracy: float,
    beta: float,
) -> list[dict[str, Any]]:
    is_known = all(map(math.isfinite, efficiencies))
    of_network = network_efficiency(efficiencies) if is_known else math.nan
    has_aiq = is_known and math.isfinite(accuracy)
    shared = {
        "run": run,
        "epoch": epoch,
        "network_efficiency": of_network,
        "accuracy": accuracy,
        "aIQ": aIQ(of_network, accuracy, beta) if has_aiq else math.nan,
    }
    return [
        {
            **shared,
            "layer": index,
            "layer_name": layer.name,
            "efficiency": efficiency,
            "undersampled": layer.undersampled,
        }
        for index, (layer, efficiency) in enumerate(zip(layers, efficiencies, strict=True))
    ]


def _means(table: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Each metric's name and its mean over runs by epoch."""
    for layer, of_layer in table.groupby("layer"):
        yield f"efficiency.layer_{layer}", of_layer.groupby("epoch")["efficiency"].mean()
    by_epoch = table.groupby("epoch")
    yield "efficiency.network", by_epoch["network_efficiency"].mean()
    yield "efficiency.aIQ", by_epoch["aIQ"].mean()
