"""Measures mutual information while networks train, so that no activations need be kept.

At a scheduled epoch the activations go from the networks straight to the estimators, on the device
where they are. The tables are those that a recording would give. What a table's trust report needs
of the first, the middle and the last epoch is measured at every epoch that may turn out to be one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from deep_bottleneck.interfaces import (
    BoolArray,
    Dataset,
    FloatArray,
    IntArray,
    LabelledDataset,
    Part,
    RunGroup,
)
from deep_bottleneck.machine.device import select
from deep_bottleneck.measuring import trust
from deep_bottleneck.measuring.information_tables import InformationTables, Inputs
from deep_bottleneck.training.recorder import Recorder
from deep_bottleneck.training.schedule import Schedule, due_runs


def inputs_of(dataset: Dataset, part: Part, layer_names: Sequence[str] = ()) -> Inputs:
    """The labels and the flattened examples of a part of the data, for layers of these names."""
    labelled: Sequence[LabelledDataset] = {
        "train": [dataset.train],
        "test": [dataset.test],
        "full": [dataset.train, dataset.test],
    }[part]
    examples = np.concatenate([one.examples for one in labelled])
    labels = np.concatenate([one.labels for one in labelled])
    return Inputs(labels, examples.reshape(len(labels), -1), layer_names=layer_names)


class InformationRecorder(Recorder):
    """Lets tables observe the scheduled epochs of a training, and the last of each run."""

    def __init__(
        self,
        tables: Sequence[InformationTables],
        dataset: Dataset,
        schedule: Schedule,
        epochs: int,
        may_stop_early: bool,
    ) -> None:
        """Watch a training.

        Args:
            tables: for each part of the data that is measured.
            dataset: whose examples are measured.
            schedule: the epochs to measure.
            epochs: how long networks train at most.
            may_stop_early: whether a callback may stop a run. If none can, it is known beforehand
                which epochs trust reports tell of, and the others are measured once.
        """
        super().__init__()
        self._tables = tables
        self._dataset = dataset
        self._schedule = schedule
        self._last_possible = epochs - 1
        scheduled = filter(schedule, range(self._last_possible))
        whole_training = [*scheduled, self._last_possible]
        self._telling = None if may_stop_early else trust.telling_epochs(whole_training)
        self._epoch_before: int | None = None

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Measure the runs that are due."""
        due = due_runs(self._schedule, epoch, stopping)
        if not len(due):
            return
        telling = self._may_be_telling(epoch, stops=bool(stopping.any()))
        self._epoch_before = epoch
        runs = np.array(group.runs)[due]
        outputs = _Outputs(group, self._dataset, due)
        for tables in self._tables:
            tables.observe(epoch, runs, outputs.of(tables.part), telling)

    def state(self) -> dict[str, Any]:
        """What was measured so far."""
        tables = {tables.part: tables.state() for tables in self._tables}
        return {"epoch_before": self._epoch_before, "tables": tables}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was measured before."""
        self._epoch_before = state["epoch_before"]
        for tables in self._tables:
            tables.restore(state["tables"][tables.part])

    def _may_be_telling(self, epoch: int, stops: bool) -> bool:
        if self._telling is not None:
            return epoch in self._telling
        before = self._epoch_before
        if before is not None and before >= epoch:
            before = None  # the first of another group
        return stops or trust.may_be_telling(before, self._last_possible)


class _Outputs:
    """The activations of one epoch, computed once for all parts of the data that have them."""

    def __init__(self, group: RunGroup, dataset: Dataset, due: IntArray) -> None:
        self._group = group
        self._dataset = dataset
        self._due = due
        self._known: dict[Part, list[torch.Tensor]] = {}

    def of(self, part: Part) -> list[torch.Tensor]:
        """Each layer's, shape (runs, n_examples, n_units)."""
        if part not in self._known:
            self._known[part] = self._both() if part == "full" else self._computed(part)
        return self._known[part]

    def _both(self) -> list[torch.Tensor]:
        both = zip(self.of("train"), self.of("test"), strict=True)
        return [torch.cat(layers, dim=1) for layers in both]

    def _computed(self, part: Part) -> list[torch.Tensor]:
        outputs = self._group.outputs(getattr(self._dataset, part).examples)
        return [torch.as_tensor(select(layer, self._due)) for layer in outputs]
