"""What `watch` gives: it measures when it is asked to, and has tables, pictures and a record."""

import logging
import operator
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import FloatArray, Status
from deep_bottleneck.machine import device
from deep_bottleneck.machine.environment import runs_folder
from deep_bottleneck.measuring.trust import at_ceiling
from deep_bottleneck.storage.base import ExperimentId
from deep_bottleneck.storage.names import DEVICE, INFORMATION, TRUST
from deep_bottleneck.training.schedule import Schedule
from deep_bottleneck.watching.group import WatchedGroup
from deep_bottleneck.watching.measurement import REPRESENTATION, Measurement, plotted
from deep_bottleneck.watching.plain import as_plain, from_plain
from deep_bottleneck.watching.record import WatchRecord, in_json
from deep_bottleneck.watching.torch_network import TorchNetwork
from deep_bottleneck.watching.undisturbed import casting, undisturbed

logger = logging.getLogger(__name__)

PLANE = "informationplane"
CURVES = "mi_over_epochs"


class Watch:
    """Measures networks of somebody else's whenever it is asked to.

    Made by `watch`. As a context, it is closed in the end: `with watch(...) as w`.
    """

    def __init__(
        self,
        group: WatchedGroup,
        measurement: Measurement,
        schedule: Schedule,
        config: Mapping[str, Any],
        strict: bool,
    ) -> None:
        """Store what to measure, when and how; `watch` finds it out."""
        self._group = group
        self._measurement = measurement
        self._schedule = schedule
        self._config = config
        self._strict = strict
        self._last_epoch = -1
        self._n_measured = 0
        self._is_closed = False
        self._record: WatchRecord | None = None

    def step(self, epoch: int | None = None, *, check: bool = False, **metrics: Any) -> None:
        """Measure the networks as they are now, if it is time.

        Args:
            epoch: the epoch; None for the one after the last.
            check: whether to measure in any case, and what the trust report needs besides, as it is
                at the first, second, fourth, eighth measured epoch and so on.
            metrics: what training says, such as `accuracy=0.9`: a number, or one for each run.

        Raises:
            ConfigError: if the watch is closed, the epoch is not after the last, or a layer gives
                something else than before.
        """
        if self._is_closed:
            raise ConfigError("the watch is closed: there is no step after close()")
        epoch = self._last_epoch + 1 if epoch is None else operator.index(epoch)
        if epoch <= self._last_epoch:
            raise ConfigError(
                f"epoch {epoch} does not come after epoch {self._last_epoch}, which was the last: "
                "leave it out, or count on"
            )
        of_runs = {name: self._of_runs(name, value) for name, value in metrics.items()}
        self._last_epoch = epoch
        if not _is_first_process():
            return
        self._measurement.note(epoch, len(self._group.runs), of_runs)
        if not (check or self._schedule(epoch)):
            return
        telling = check or self._n_measured & (self._n_measured + 1) == 0
        try:
            with self._looking():
                self._measurement.observe(epoch, self._group, telling, of_runs)
        except Exception as error:
            if self._strict:
                raise
            logger.warning("Epoch %d was not measured: %s", epoch, _said(error))
            return
        self._n_measured += 1
        if self._n_measured == 1:
            self._say_what_is_at_its_ceiling()
        if self._record is not None:
            self._store(self._record, self.tables if telling else self._grown)
            self._record.beat()

    @property
    def layers(self) -> pd.DataFrame:
        """What is watched: a row for each layer, before anything is trained.

        The columns are layer, name, type, shape (of the output for one example), neuron_axis (of
        that), n_units (of the representation of whole outputs) and representation.
        """
        rows = [
            {
                "layer": index,
                "name": place.output.name,
                "type": type(place.layer).__name__,
                "shape": place.output.shape,
                "neuron_axis": place.output.neuron_axis,
                "n_units": place.output.n_units,
                REPRESENTATION: self._config[REPRESENTATION][place.output.name],
            }
            for index, place in enumerate(self._group.networks[0].places)
        ]
        return pd.DataFrame(rows).astype({"neuron_axis": "Int64"})

    @property
    def table(self) -> pd.DataFrame:
        """Mutual information so far, a row for each estimator, run, epoch and layer.

        The columns are those of `deep_bottleneck.measuring.estimation.estimate`, how a config names
        the estimator (module, discretization_range, options), and representation.
        """
        return pd.concat(self._measurement.information.values(), ignore_index=True)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by the names that a record has for them, those of measures among them."""
        trust = {f"{TRUST}{name}": table for name, table in self._measurement.trust.items()}
        return {**self._grown, **trust}

    @property
    def _grown(self) -> dict[str, pd.DataFrame]:
        """The tables that each step adds to; trust reports are made anew of those."""
        information = self._measurement.information
        named = {f"{INFORMATION}{name}": table for name, table in information.items()}
        return {**named, **self._measurement.recorded}

    def trust(self) -> pd.DataFrame:
        """How far the numbers can be trusted, by `deep_bottleneck.measuring.trust.trust_report`.

        It tells of epochs that were checked (see `step`), up to the last of these.
        """
        return pd.concat(self._measurement.trust.values(), ignore_index=True)

    def plot(self, kind: str | None = None, name: str | None = None) -> Any:
        """Draw what was measured, as a matplotlib figure.

        Args:
            kind: a plotter of `deep_bottleneck.plotter`, such as "informationplane", "trust",
                "similarity" or "efficiency", or an import path. None for the plane, or for curves
                over epochs where there are no labels.
            name: which of several drawings, as the log tells; None for the first.

        Raises:
            ConfigError: if there is no such plotter or drawing, or it draws what was not measured.
        """
        kind = (PLANE if self._is_labelled else CURVES) if kind is None else kind
        drawings = self._drawings(kind)
        if not drawings:
            raise ConfigError(f'plot("{kind}") has nothing to draw: nothing was measured yet')
        if name is not None and name not in drawings:
            raise ConfigError(f'plot("{kind}") draws {", ".join(drawings)}, and no {name!r}')
        first, *others = drawings
        if name is None and others:
            logger.info("Drawn: %s. There are also %s.", first, ", ".join(others))
        return drawings[name or first]

    def save(self, folder: str | Path | None = None) -> ExperimentId | None:
        """Store all that was measured as an ordinary record, and draw it.

        Args:
            folder: where records are; None for that of the record that this watch has from its
                beginning on, or else for `DEEP_BOTTLENECK_RUNS`, or `runs`.

        Returns:
            The id of the record; None in other processes than the first, which alone has measured.

        Raises:
            RecordError: if it cannot be written.
        """
        if not _is_first_process():
            return None
        if self._record is not None and folder is None:
            record = self._record
        else:
            record = WatchRecord(_folder(folder), self._config, self._info())
        self._store(record, self.tables)
        self._draw(record)
        if record is not self._record:
            record.end(Status.COMPLETED, self._result())
        return record.id

    def close(self) -> None:
        """End the watch: its record is complete, and there are no more steps."""
        self._end(Status.COMPLETED)

    def state_dict(self) -> dict[str, Any]:
        """All that was measured, in values that `torch.save` writes and `torch.load` reads."""
        return {
            "layers": [output.name for output in self._group.layer_outputs],
            "estimator": as_plain(self._config["estimator"]),
            "last_epoch": self._last_epoch,
            "n_measured": self._n_measured,
            "measurement": as_plain(self._measurement.state()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what a watch of the same layers has measured before.

        Raises:
            ConfigError: if it has measured other layers, or with other estimators.
        """
        names = [output.name for output in self._group.layer_outputs]
        for what, own in (("layers", names), ("estimator", self._config["estimator"])):
            theirs = from_plain(state.get(what))
            if theirs != own:
                raise ConfigError(f"the state is of a watch with the {what} {theirs}, not {own}")
        self._measurement.restore(from_plain(state["measurement"]))
        self._last_epoch = int(state["last_epoch"])
        self._n_measured = int(state["n_measured"])

    def keras(self) -> Any:
        """A callback for Keras: `model.fit(callbacks=[w.keras()])` steps after every epoch."""
        from deep_bottleneck.watching.trainers.keras import Steps

        return Steps(self)

    def lightning(self) -> Any:
        """A callback for Lightning's `Trainer(callbacks=[w.lightning()])`.

        It steps after every epoch.
        """
        from deep_bottleneck.watching.trainers.lightning import steps

        return steps(self)

    def transformers(self) -> Any:
        """A callback for Hugging Face's `Trainer(callbacks=[w.transformers()])`.

        It steps after every epoch.
        """
        from deep_bottleneck.watching.trainers.transformers import steps

        return steps(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._end(Status.COMPLETED)
        else:
            self._end(Status.FAILED if issubclass(kind, Exception) else Status.INTERRUPTED)

    def __repr__(self) -> str:
        measured = f"{self._n_measured} epochs measured"
        return (
            f"Watch of {self._config['model']}, {measured}:\n{self.layers.to_string(index=False)}"
        )

    @property
    def _is_labelled(self) -> bool:
        return self._measurement.is_labelled

    def _of_runs(self, name: str, value: Any) -> FloatArray:
        n_runs = len(self._group.runs)
        try:
            values = np.asarray(value, np.float32)
            return np.broadcast_to(values, (n_runs,))
        except (TypeError, ValueError):
            raise ConfigError(
                f"{name} of a step is {value!r}, should be a number, or one for each of the "
                f"{n_runs} networks"
            ) from None

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Look at the networks without disturbing them."""
        networks = [one for one in self._group.networks if isinstance(one, TorchNetwork)]
        for network in networks:
            network.casting = casting()
        with undisturbed([network.model for network in networks]):
            yield

    def _drawings(self, kind: str) -> Mapping[str, Any]:
        """What a plotter draws; layers that are not taken whole say so in their names."""

        def said(name: str) -> str:
            chosen = self._config[REPRESENTATION].get(name, "flatten")
            return name if chosen == "flatten" else f"{name} ({chosen})"

        information = {
            name: table.assign(name=table["name"].map(said))
            for name, table in self._measurement.information.items()
            if not table.empty
        }
        return plotted(kind, self._measurement.results(information))

    def _say_what_is_at_its_ceiling(self) -> None:
        wide = {
            output.name
            for output in self._group.layer_outputs
            if output.n_positions > 1 and self._config[REPRESENTATION][output.name] == "flatten"
        }
        table = self.table.dropna(subset="MI_XM")
        there = table[at_ceiling(table) & table["name"].isin(wide)]
        if not there.empty:
            logger.warning(
                "Flattened, %s are at the ceiling of %.2f bits from the beginning: the method "
                'tells all examples apart, and can say no more. representation="mean" or "first" '
                "takes fewer units of each.",
                ", ".join(there["name"].unique()),
                there["ceiling"].max(),
            )

    def begin_record(self, folder: str | Path | None) -> None:
        """Store a record from now on, in a folder of records; None as for `save`.

        Raises:
            RecordError: if it cannot be written.
        """
        if _is_first_process():
            self._record = WatchRecord(_folder(folder), self._config, self._info())
            self._record.add_text("layers", ".csv", self.layers.to_csv(index=False))

    def _store(self, record: WatchRecord, tables: Mapping[str, pd.DataFrame]) -> None:
        """Store tables, and all metrics as they are now."""
        for name, table in tables.items():
            if not table.empty:
                record.add_table(name, table)
        record.set_metrics({**self._measurement.scalars})

    def _draw(self, record: WatchRecord) -> None:
        record.add_text("layers", ".csv", self.layers.to_csv(index=False))
        for kind in (PLANE if self._is_labelled else CURVES, "trust"):
            for name, figure in self._drawings(kind).items():
                record.add_figure(name, figure)

    def _end(self, status: Status) -> None:
        if self._record is not None and not self._is_closed:
            self._store(self._record, self.tables)
            self._draw(self._record)
            self._record.end(status, self._result())
        self._is_closed = True

    def _result(self) -> dict[str, float] | None:
        """The last accuracy, averaged over runs, where training has said it."""
        last = self._measurement.metrics.groupby("run").last()
        of_parts = {"train": "accuracy", "test": "val_accuracy"}
        means = {part: float(last[column].mean()) for part, column in of_parts.items()}
        return {part: mean for part, mean in means.items() if np.isfinite(mean)} or None

    def _info(self) -> dict[str, Any]:
        there = self._group.networks[0].device
        return in_json({DEVICE: device.description(there), "network": str(self._group.models[0])})


def _folder(given: str | Path | None) -> Path:
    return runs_folder(os.environ) if given is None else Path(given)


def _is_first_process() -> bool:
    """Whether this is the one of several processes that measures."""
    several = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not several or torch.distributed.get_rank() == 0


def _said(error: BaseException) -> str:
    return " ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
