"""Measures mutual information while networks train, so that no activations need be kept.

At a scheduled epoch the activations go from the networks straight to the estimators, on the device
where they are, and training goes on meanwhile. The tables are those that a recording would give.
What a table's trust report needs of the first, the middle and the last epoch is measured at every
epoch that may turn out to be one.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
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
from deep_bottleneck.training.aside import Aside
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
        self._aside = Aside("estimators")
        self._given_up = threading.Event()

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Measure the runs that are due."""
        due = due_runs(self._schedule, epoch, stopping)
        if not len(due):
            return
        telling = self._may_be_telling(epoch, stops=bool(stopping.any()))
        self._epoch_before = epoch
        self._aside.start(
            self._observe, epoch, np.array(group.runs)[due], self._outputs(group, due), telling
        )

    def settle(self) -> None:
        """Wait until all is measured.

        Raises:
            ConfigError: if an estimator gives something else than it should.
        """
        self._aside.settle()

    def give_up(self) -> None:
        """Measure nothing more but the layer that is being measured."""
        self._given_up.set()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Measure what is left."""
        self._aside.end()

    def state(self) -> dict[str, Any]:
        """What was measured so far."""
        self.settle()
        tables = {tables.part: tables.state() for tables in self._tables}
        return {"epoch_before": self._epoch_before, "tables": tables}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was measured before."""
        self._epoch_before = state["epoch_before"]
        for tables in self._tables:
            tables.restore(state["tables"][tables.part])

    def _outputs(self, group: RunGroup, due: IntArray) -> dict[Part, list[torch.Tensor]]:
        """What the layers of the runs make of the examples that are measured."""
        measured = {tables.part for tables in self._tables}
        parts: tuple[Part, ...] = ("train", "test")
        return {
            part: [
                torch.as_tensor(select(layer, due))
                for layer in group.outputs(getattr(self._dataset, part).examples)
            ]
            for part in parts
            if measured & {part, "full"}
        }

    def _observe(
        self,
        epoch: int,
        runs: IntArray,
        outputs: dict[Part, list[torch.Tensor]],
        telling: bool,
    ) -> None:
        for tables in self._tables:
            tables.observe(epoch, runs, self._until_given_up(tables.part, outputs), telling)

    def _until_given_up(
        self, part: Part, outputs: dict[Part, list[torch.Tensor]]
    ) -> Iterator[torch.Tensor]:
        """The activations of each layer, shape (runs, n_examples, n_units)."""
        parts = outputs.values() if part == "full" else [outputs[part]]
        for layer in zip(*parts, strict=True):
            if self._given_up.is_set():
                return
            yield torch.cat(layer, dim=1) if part == "full" else layer[0]

    def _may_be_telling(self, epoch: int, stops: bool) -> bool:
        if self._telling is not None:
            return epoch in self._telling
        before = self._epoch_before
        if before is not None and before >= epoch:
            before = None  # the first of another group
        return stops or trust.may_be_telling(before, self._last_possible)
