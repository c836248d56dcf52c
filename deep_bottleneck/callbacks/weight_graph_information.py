"""Records the effective information of the weight graph, of each layer and of the whole network.

Klein and Hoel 2020, "The emergence of informative higher scales in complex networks", eq. 1.
"""

import math
import warnings
from typing import Any

import numpy as np

from deep_bottleneck.callbacks.measures import WHOLE_NETWORK, MeasureRecorder
from deep_bottleneck.causal import weight_graph
from deep_bottleneck.causal.weight_graph import Norm, Shapes, WeightGraphMeasures
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import IntArray, Record, RunGroup, TableRecord
from deep_bottleneck.training.schedule import Schedule

REFERENCES = ("klein2020",)

TABLES = ("weight_graph_information",)
NORMS: dict[str, Norm] = {
    "lin_norm": weight_graph.lin_norm,
    "soft_norm": weight_graph.soft_norm,
    "sig_norm": weight_graph.sig_norm,
}


def load(
    run: Record, tables: TableRecord, schedule: Schedule, norm: str = "lin_norm"
) -> "WeightGraphRecorder":
    """A recorder that leaves the table `weight_graph_information` and logs its means as metrics.

    Args:
        run: where the metrics go.
        tables: where the table goes.
        schedule: the epochs to record.
        norm: makes a unit's outgoing weights a distribution: "lin_norm", "soft_norm" or "sig_norm".

    Raises:
        ConfigError: if there is no such norm.
    """
    if norm not in NORMS:
        raise ConfigError(
            f'"callbacks": weight_graph_information knows the norms {", ".join(NORMS)}, '
            f"got {norm!r}"
        )
    return WeightGraphRecorder(run, tables, schedule, NORMS[norm])


class WeightGraphRecorder(MeasureRecorder):
    """Measures ei, determinism and degeneracy of the weights, in bits.

    The whole network, whose layer is -1 and whose name is network, has its pooling layers as well.
    A value that cannot be computed is NaN, and the log says why. Determinism and degeneracy are
    entropies, of the opposite sense of the determinism of `effective_information`.
    """

    def __init__(self, run: Record, tables: TableRecord, schedule: Schedule, norm: Norm) -> None:
        super().__init__(run, tables, schedule, "weight_graph_information")
        self._norm = norm
        self._parts: dict[int, dict[int, Shapes]] = {}

    def record(self, epoch: int, group: RunGroup, due: IntArray) -> None:
        """Measure the network and every layer of the runs that are due.

        Raises:
            ConfigError: if it cannot be seen which layer of the model feeds which.
        """
        names = {WHOLE_NETWORK: "network"}
        names |= {index: layer.name for index, layer in enumerate(group.layer_outputs)}
        for row in due:
            run, model = group.runs[row], group.models[row]
            if run not in self._parts:
                self._parts[run] = self._parts_of(group, row)
            for index, part in self._parts[run].items():
                found = self._measured(model, part, f"{names[index]} at epoch {epoch}")
                values = {name: np.array([value]) for name, value in found._asdict().items()}
                self.keep(epoch, [run], index, names[index], values)

    def _measured(self, model: Any, shapes: Shapes, what: str) -> WeightGraphMeasures:
        found = WeightGraphMeasures(*[math.nan] * 3)
        reason = "it is of a kind with no weight graph, or inside of a layer of one's own"
        if shapes:
            found = weight_graph.measures_of(model, shapes=shapes, norm=self._norm)
            reason = "its weights are NaN or infinite"
        if math.isnan(found.ei):
            # each layer of such a kind is named, and what has diverged once
            topic = reason if shapes else what.partition(" at ")[0]
            self.tell_once(topic, f"{what} is NaN, perhaps others too: {reason}")
        return found

    def _parts_of(self, group: RunGroup, row: int) -> dict[int, Shapes]:
        """The shapes of the whole network and of each place."""
        shapes = self._shapes_of(group, row)
        parts = {
            index: {layer: shapes[layer]} if layer in shapes else {}
            for index, layer in enumerate(group.layers(row))
        }
        return {WHOLE_NETWORK: shapes, **parts}

    def _shapes_of(self, group: RunGroup, row: int) -> Shapes:
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                shapes = weight_graph.get_shapes(group.models[row], *group.example(row))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f'"callbacks": weight_graph_information cannot measure this model: {error}'
            ) from error
        for warning in caught:
            self.tell_once(str(warning.message), str(warning.message))
        return shapes
