"""Records the effective information of every layer, and where it lies on the causal plane.

Marrow, Michaud and Hoel 2020, "Examining the causal structures of deep neural networks using
information theory": noise of maximum entropy goes into a layer, and what comes out is seen.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from deep_bottleneck.callbacks.measures import MeasureRecorder, Values
from deep_bottleneck.causal import channel_of, measures_of, topology_of
from deep_bottleneck.causal.network.kinds import is_embedding, is_keras
from deep_bottleneck.errors import (
    ConfigError,
    EstimationError,
    OutOfRangeWarning,
    UnresolvedWarning,
)
from deep_bottleneck.interfaces import Dataset, IntArray, Record, RunGroup, TableRecord
from deep_bottleneck.training.schedule import Schedule

if TYPE_CHECKING:
    import networkx as nx

REFERENCES = ("marrow2020",)

TABLES = ("effective_information",)
MEASURES = ("ei", "ei_parts", "sensitivity", "degeneracy", "determinism")
# keeps the noise apart from other uses of the experiment's seed
_NOISE_KEY = 1


def load(
    run: Record,
    tables: TableRecord,
    dataset: Dataset,
    schedule: Schedule,
    seed: int,
    samples: int = 5_000,
    in_bins: int = 8,
    out_bins: int | str = 8,
    input_range: Sequence[float] | None = None,
    out_range: Sequence[float] | str | None = None,
    outside: str = "clip",
    correction: str | None = "shuffle",
    others: str = "zero",
    device: str = "cpu",
    quantize_bits: int | None = None,
) -> "EffectiveInformationRecorder":
    """A recorder that leaves the table `effective_information` and logs its means as metrics.

    Args:
        run: where the metrics go.
        tables: where the table goes.
        dataset: whose training examples say what range the network's inputs have.
        schedule: the epochs to record.
        seed: the experiment's; decides the noise, which is the same at all epochs and for all runs.
        samples: how many samples of noise a layer gets.
        in_bins: how many bins divide the range of an input.
        out_bins: how many divide that of an output, or "dynamic" for bins as wide as the inputs'.
        input_range: (lower, upper) of the noise into the network's inputs; by default the range of
            the training examples. Other layers get noise in the range of the activation before.
        out_range: (lower, upper) of the outputs of all layers, or "dynamic" for the range that each
            takes; by default that of the activation after them.
        outside: "clip" counts outputs outside that range in the outermost bins, "drop" leaves them
            out.
        correction: of the finite-sample bias of EI_parts and determinism: "shuffle",
            "grassberger", "miller-madow", or None.
        others: where inputs that are not perturbed are held for the sensitivity: "zero" or
            "random".
        device: where to measure: the experiment's. The same seed gives other noise on a GPU.
        quantize_bits: the experiment's, which must be None.

    Raises:
        ConfigError: if an option is not one that the measures can work with, or the activations are
            quantised.
    """
    if quantize_bits is not None:
        raise ConfigError(
            '"callbacks": effective_information cannot measure quantised activations, and '
            f'"quantize_bits" is {quantize_bits}: set it to null, or leave this callback out'
        )
    examples = dataset.train.examples
    limits = (examples.min(), examples.max()) if input_range is None else input_range
    (noise_seed,) = np.random.SeedSequence(seed, spawn_key=(_NOISE_KEY,)).generate_state(1)
    of_channel: dict[str, Any] = {
        "in_bins": in_bins,
        "out_bins": out_bins,
        "out_range": out_range,
        "outside": outside,
    }
    of_measures = {
        "samples": samples,
        "seed": int(noise_seed),
        "correction": correction,
        "others": others,
    }
    _check(limits, of_channel, of_measures)
    of_channel["device"] = device
    return EffectiveInformationRecorder(run, tables, schedule, limits, of_channel, of_measures)


class EffectiveInformationRecorder(MeasureRecorder):
    """Injects noise into every layer with weights, for all runs of a group at once.

    The measures are those of `causal.measures_of`, in bits: ei (of whole input and output vectors),
    ei_parts, sensitivity, degeneracy (sensitivity - ei_parts) and determinism. What cannot be
    measured is NaN, and the log says why: so is ei where a layer's input has more states than there
    are samples, as for many inputs or bins.
    """

    def __init__(
        self,
        run: Record,
        tables: TableRecord,
        schedule: Schedule,
        input_range: Any,
        of_channel: Mapping[str, Any],
        of_measures: Mapping[str, Any],
    ) -> None:
        """Store what to measure with.

        Args:
            run: where the metrics go.
            tables: where the table goes.
            schedule: the epochs to record.
            input_range: (lower, upper) of the noise into the network's inputs.
            of_channel: further options of `causal.channel_of`.
            of_measures: options of `causal.measures_of`.
        """
        super().__init__(run, tables, schedule, "effective_information")
        self._input_range = input_range
        self._of_channel = of_channel
        self._of_measures = of_measures
        self._layers: dict[int, Sequence[Any]] = {}

    def record(self, epoch: int, group: RunGroup, due: IntArray) -> None:
        """Measure every layer of the runs that are due.

        Raises:
            ConfigError: if it cannot be seen which layer of the model feeds which.
        """
        runs = [group.runs[row] for row in due]
        for row, run in zip(due, runs, strict=True):
            if run not in self._layers:
                self._layers[run] = group.layers(row)
        graph_of = cache(partial(_topology, group))
        for index, place in enumerate(group.layer_outputs):
            layers = {row: self._layers[group.runs[row]][index] for row in due}
            first = layers[due[0]]
            if first in graph_of(due[0]):
                values = self._measured(graph_of, layers, index, epoch)
            else:
                values = {measure: np.full(len(runs), np.nan) for measure in MEASURES}
                self.tell_once(index, f"{place.name} is NaN: {_why_no_node(first)}")
            self.keep(epoch, runs, index, place.name, values)

    def _measured(
        self,
        graph_of: "Callable[[int], nx.DiGraph[Any]]",
        of_rows: Mapping[int, Any],
        index: int,
        epoch: int,
    ) -> Mapping[str, Values]:
        (row, layer), *others = of_rows.items()
        topology = graph_of(row)
        is_first = self._is_first(layer, topology, index)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                channel = channel_of(
                    layer,
                    topology,
                    replicas=[replica for _, replica in others],
                    in_range=self._input_range if is_first else None,
                    **self._of_channel,
                )
                found = measures_of(channel, **self._of_measures)
        except (EstimationError, TypeError, ValueError) as error:
            if others:  # one run that fails leaves the others their values
                alone = [
                    self._measured(graph_of, {row: of_run}, index, epoch)
                    for row, of_run in of_rows.items()
                ]
                return {
                    measure: np.concatenate([of_run[measure] for of_run in alone])
                    for measure in MEASURES
                }
            reason = f"layer {index} is NaN at epoch {epoch}, perhaps at others too: {error}"
            self.tell_once((index, type(error).__name__), reason)
            return {measure: np.full(1, np.nan) for measure in MEASURES}
        values = {measure: found[measure].cpu().numpy() for measure in MEASURES}
        for warning in caught:
            if issubclass(warning.category, UnresolvedWarning):
                values["ei"] = np.full(len(of_rows), np.nan)
                self.tell_once((index, "ei"), f"ei of layer {index} is NaN: {warning.message}")
            elif issubclass(warning.category, OutOfRangeWarning):
                self.tell_once((index, "outside"), f"at epoch {epoch}, {warning.message}")
        return values

    def _is_first(self, layer: Any, topology: "nx.DiGraph[Any]", index: int) -> bool:
        """Whether a layer gets the network's inputs, in the range that these have."""
        data = topology.nodes[layer]
        if is_embedding(layer):  # indices have a range of their own
            return False
        is_unknown = data["input"]["activation"] is None and not topology.in_degree(layer)
        if is_unknown and not data["takes_input"]:
            self.tell_once(
                (index, "range"),
                f"layer {index} gets what the network computes of its inputs, in a range that is "
                "not known: noise goes into it as into a layer without an activation before",
            )
        return bool(data["takes_input"])


def _topology(group: RunGroup, row: int) -> "nx.DiGraph[Any]":
    try:
        return topology_of(group.models[row], *group.example(row))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f'"callbacks": effective_information cannot measure this model: {error}'
        ) from error


def _why_no_node(layer: Any) -> str:
    if is_keras(layer):
        return "it is inside of no graph of layers"
    return f"noise goes into single modules, and {type(layer).__name__} is made of others"


def _check(input_range: Any, of_channel: Mapping[str, Any], of_measures: Mapping[str, Any]) -> None:
    """Try the options on a layer that does nothing."""
    layer = torch.nn.Flatten()
    topology = topology_of(layer, torch.zeros((1, 1)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            channel = channel_of(layer, topology, in_range=input_range, **of_channel)
            measures_of(channel, **of_measures)
    except (TypeError, ValueError) as error:
        raise ConfigError(f'"callbacks": effective_information: {error}') from error
