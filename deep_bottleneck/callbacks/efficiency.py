"""Records how much of its state space each layer uses, and the network's efficiency and aIQ.

Schaub and Hotaling, "Assessing Intelligence in Artificial Neural Networks", 2020, arXiv:2006.02909.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from deep_bottleneck.callbacks.measures import TableRecorder
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
from deep_bottleneck.state_space import StateCaptureHook, aIQ, network_efficiency
from deep_bottleneck.state_space.axes import ChannelAxis, ChosenAxes
from deep_bottleneck.training.schedule import Schedule

REFERENCES = ("schaub2020",)

TABLES = ("efficiency",)
COLUMNS = (
    "run",
    "epoch",
    "layer",
    "name",
    "efficiency",
    "undersampled",
    "network_efficiency",
    "accuracy",
    "aIQ",
)
EXAMPLES_PER_BATCH = 200


def load(
    run: Record,
    tables: TableRecord,
    dataset: Dataset,
    schedule: Schedule,
    beta: float = 2,
    channel_axis: ChannelAxis = None,
) -> "EfficiencyRecorder":
    """A recorder that leaves the table `efficiency` and logs its means over runs as metrics.

    Args:
        run: where the metrics go.
        tables: where the table goes.
        dataset: whose test examples the states are observed on.
        schedule: the epochs to record.
        beta: how much more the accuracy counts than the efficiency in aIQ.
        channel_axis: the axis of a batch that counts the neurons, such as -1 for the last: one for
            all layers, or axes by name or type of layer; by default it is found by the weights.

    Raises:
        ConfigError: if beta is not a number above 0, or channel_axis is something else.
    """
    is_number = isinstance(beta, int | float) and not isinstance(beta, bool)
    if not (is_number and beta > 0 and math.isfinite(beta)):
        raise ConfigError(f'"callbacks": efficiency needs a number above 0 as beta, got {beta!r}')
    try:
        axes = None if channel_axis is None else ChosenAxes(channel_axis)
    except TypeError as error:
        raise ConfigError(f'"callbacks": efficiency: {error}') from error
    return EfficiencyRecorder(run, tables, dataset, schedule, beta, axes)


class EfficiencyRecorder(TableRecorder):
    """Counts firing states of the test examples at every layer with weights but the readout.

    Each example gives one state for each position of a convolution. States are counted batch by
    batch, so that memory holds the distinct states of one epoch and no activations but a batch's.
    The readout is left out: all outputs of a softmax are above zero, which is one state, and the
    network's efficiency, a geometric mean, would be 0.

    The table has the columns run, epoch, layer, name, efficiency, undersampled (whether too
    few states were observed to tell the layer's efficiency) and, the same for all layers of a run
    and epoch, network_efficiency, accuracy (on the test examples; NaN for models compiled without
    it) and aIQ. Where activations are NaN, as those of a run that diverged, so are the efficiencies
    and aIQ, and the log says so once for each layer.
    """

    def __init__(
        self,
        run: Record,
        tables: TableRecord,
        dataset: Dataset,
        schedule: Schedule,
        beta: float,
        axes: ChosenAxes | None = None,
    ) -> None:
        super().__init__(run, tables, schedule, "efficiency")
        self._dataset = dataset
        self._beta = beta
        self._axes = axes
        self._hidden: list[LayerOutput] = []
        self._accuracy: FloatArray = np.empty(0, np.float32)

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Note the accuracy, and record the runs that are due."""
        self._accuracy = logs.get("val_accuracy", np.full(len(group.runs), np.nan, np.float32))
        super().on_group_epoch_end(epoch, group, logs, stopping)

    def record(self, epoch: int, group: RunGroup, due: IntArray) -> None:
        """Count the states of the runs that are due.

        Raises:
            ConfigError: if the model has no layer with weights but its readout, or `channel_axis`
                names an axis or a layer that it does not have.
        """
        self._hidden = self._hidden or _hidden_layers(group, self._axes)
        for row, layers in zip(due, self._observed(group, self._hidden, due), strict=True):
            run = group.runs[row]
            efficiencies = [self._efficiency(layer, run, epoch) for layer in layers]
            accuracy = float(self._accuracy[row])
            rows = _rows(layers, efficiencies, run, epoch, accuracy, self._beta)
            self.keep_rows(pd.DataFrame(rows, columns=COLUMNS))

    def means(self, table: pd.DataFrame) -> Iterator[tuple[str, "pd.Series[float]"]]:
        """The efficiency of each layer and of the network, and its aIQ."""
        for layer, of_layer in table.groupby("layer"):
            yield f"layer_{layer}", of_layer.groupby("epoch")["efficiency"].mean()
        by_epoch = table.groupby("epoch")
        yield "network", by_epoch["network_efficiency"].mean()
        yield "aIQ", by_epoch["aIQ"].mean()

    def _observed(
        self, group: RunGroup, layers: Sequence[LayerOutput], due: IntArray
    ) -> list[list[StateCaptureHook]]:
        """The firing states of each due run's layers."""
        states = [[_capture(layer) for layer in layers] for _ in due]
        examples = self._dataset.test.examples
        for start in range(0, len(examples), EXAMPLES_PER_BATCH):
            batch = group.outputs(examples[start : start + EXAMPLES_PER_BATCH])
            for row, of_layers in zip(due, states, strict=True):
                for layer, capture, outputs in zip(layers, of_layers, batch, strict=False):
                    if layer.neuron_axis is None:
                        self.tell_once(layer.name, _unknown_axis(layer))
                    else:
                        capture.record(outputs[row].reshape(-1, *layer.shape))
        return states

    def _efficiency(self, layer: StateCaptureHook, run: int, epoch: int) -> float:
        try:
            # not efficiency(), which warns of what the table says in its column undersampled
            return layer.entropy() / layer.max_entropy()
        except EstimationError as error:
            where = f"run {run} at epoch {epoch}, perhaps in others too"
            self.tell_once(layer.name, f"{layer.name} is NaN in {where}: {error}")
            return math.nan


def _hidden_layers(group: RunGroup, axes: ChosenAxes | None) -> list[LayerOutput]:
    """All layers with weights but the readout, with the axes that the user named."""
    *hidden, readout = group.layer_outputs
    if not hidden:
        raise ConfigError(
            '"callbacks": efficiency needs a model with a hidden layer, this one has only its '
            f"readout {readout.name}"
        )
    if axes is None:
        return hidden
    kinds = {
        place.name: type(layer)
        for place, layer in zip(group.layer_outputs, group.layers(0), strict=True)
    }
    try:
        axes.check(kinds)
        return [_with_axis(layer, axes.of(layer.name, kinds[layer.name])) for layer in hidden]
    except ValueError as error:
        raise ConfigError(f'"callbacks": efficiency: {error}') from error


def _with_axis(layer: LayerOutput, axis: int | None) -> LayerOutput:
    """A layer with its neurons on an axis of its batches, None for where they were found."""
    if axis is None:
        return layer
    n_axes = len(layer.shape)
    if axis == 0 or not -n_axes <= axis <= n_axes:
        raise ValueError(
            f"channel_axis is {axis} for {layer.name}, whose batches have the shape "
            f"{(None, *layer.shape)}: expected an axis of these after the first, which counts "
            "examples"
        )
    return layer._replace(neuron_axis=axis if axis < 0 else axis - 1)


def _capture(layer: LayerOutput) -> StateCaptureHook:
    """Counts the states of a layer's outputs that it is handed; on the GPU, if they are there."""
    axis = layer.neuron_axis
    of_batch = axis if axis is None or axis < 0 else axis + 1
    return StateCaptureHook(layer.name, channel_axis=of_batch)


def _unknown_axis(layer: LayerOutput) -> str:
    return (
        f"{layer.name} is NaN: it cannot be told which axis of its outputs, of shape "
        f"{layer.shape}, counts the neurons; name it as channel_axis of this callback"
    )


def _rows(
    layers: Sequence[StateCaptureHook],
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
            "name": layer.name,
            "efficiency": efficiency,
            "undersampled": layer.state_count == 0 or layer.undersampled,
        }
        for index, (layer, efficiency) in enumerate(zip(layers, efficiencies, strict=True))
    ]
