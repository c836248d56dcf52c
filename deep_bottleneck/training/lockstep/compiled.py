"""n_runs Keras models of one architecture that take every step together, compiled by XLA."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import keras
import numpy as np
import torch
from torch.utils.dlpack import from_dlpack

from deep_bottleneck.interfaces import BoolArray, Dataset, FloatArray, IntArray
from deep_bottleneck.machine.device import select, to_host
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.layers import (
    in_full,
    layer_outputs,
    multiplications,
    watched_layers,
)
from deep_bottleneck.training.lockstep.convolutions import slower_together
from deep_bottleneck.training.lockstep.obstacles import UNTRACEABLE, ObstacleError
from deep_bottleneck.training.lockstep.programs import (
    Arrays,
    Data,
    Logs,
    Programs,
    State,
)
from deep_bottleneck.training.lockstep.stack import Stack
from deep_bottleneck.training.targets import targets

CPU = torch.device("cpu")
# examples in a test, as for the models that `model.fit` trains
TEST_BATCH = 4096
# About a second of a core's arithmetic: no launch takes longer, so that Ctrl-C is heard.
MULTIPLICATIONS_PER_LAUNCH = 5_000_000_000


class Listener(Protocol):
    """Hears of batches and tests; arrays in logs have the shape (runs,).

    Attributes:
        hears_batches: whether it wants to hear of each batch of training.
        hears_tests: whether it wants to hear of tests.
    """

    hears_batches: bool
    hears_tests: bool

    def on_train_batch_begin(self, index: int) -> None:
        """A batch is about to be trained on."""
        ...

    def on_train_batch_end(self, index: int, logs: dict[str, FloatArray]) -> None:
        """A batch was trained on; logs has the metrics over the epoch so far."""
        ...

    def on_test_begin(self) -> None:
        """The test at the end of an epoch begins."""
        ...

    def on_test_batch_begin(self, index: int) -> None:
        """Some examples are about to be tested."""
        ...

    def on_test_batch_end(self, index: int, logs: dict[str, FloatArray]) -> None:
        """They were; logs has the metrics over the test so far."""
        ...

    def on_test_end(self, logs: dict[str, FloatArray]) -> None:
        """The test has ended."""
        ...


class _Ahead(NamedTuple):
    """An epoch whose training has begun before it was asked for.

    Attributes:
        epoch: which.
        before: the state from which it was begun.
        state: the one after it.
        logs: the metrics.
    """

    epoch: int
    before: State
    state: State
    logs: Logs


class CompiledGroup:
    """Runs that train together.

    A run's results depend on its own model, its own batches and the data alone: to the last bit
    among groups of the same size, to rounding among groups of others.

    Attributes:
        layer_outputs: name and shape of the output of each place.
        launches: how many programs were started to train and to test.
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        runs: Sequence[int],
        dataset: Dataset,
        batches: Batches,
        device: torch.device = CPU,
    ) -> None:
        """Stack the models.

        Args:
            models: one for each run.
            runs: their numbers.
            dataset: what to train and test on.
            batches: which examples a run sees.
            device: where to train. The models have their weights where they were afterwards.
        """
        template = models[0]
        self._device = jax.devices(device.type)[device.index or 0]
        self._batches = batches
        self._examples = [part.examples for part in (dataset.train, dataset.test)]
        self._train, self._test = (
            Data(*jax.device_put((part.examples, targets(template, part)), self._device))
            for part in (dataset.train, dataset.test)
        )
        on_cpu = self._device.platform == "cpu"
        try:
            _build(template, self._train, batches.batch_size)
            self._one_by_one = on_cpu and slower_together(template, dataset.input_shape)
            self._programs = Programs(template, TEST_BATCH, for_cpu=on_cpu)
            self._stack = Stack(models, runs, self._device)
            self._drawn = 0, batches.orders(runs, 0)
            self._trace()
        except UNTRACEABLE as error:
            raise ObstacleError(f"a step cannot be compiled ({_cause(error)})") from error
        self.layer_outputs = layer_outputs(template)
        self._multiplications = multiplications(template)
        self._looks_ahead = on_cpu
        self._ahead: _Ahead | None = None
        self.launches = 0

    @property
    def runs(self) -> list[int]:
        """The runs that still train."""
        return [self._stack.rows[row] for row in self._alive]

    @property
    def rows(self) -> list[int]:
        """The runs that are computed, frozen ones among them."""
        return list(self._stack.rows)

    @property
    def models(self) -> list[keras.Model]:
        """The models of the runs that still train, with their current weights."""
        return self._stack.models

    @property
    def n_batches(self) -> int:
        """How many steps an epoch has."""
        return len(self._batches.slices)

    def train_epoch(
        self, epoch: int, listener: Listener | None = None, more: bool = False
    ) -> dict[str, FloatArray]:
        """Train all runs for one epoch.

        Args:
            epoch: the epoch, which decides the order of examples.
            listener: hears of batches and tests.
            more: whether the next epoch is likely to follow: on a CPU it begins meanwhile, and is
                forgotten where a model has been changed until it is asked for.

        Returns:
            The mean loss and the compiled metrics over the epoch's batches, and after it on the
            test examples, as "val_...", each of shape (runs,).
        """
        order = self._order(epoch)
        heard = listener is not None and (listener.hears_batches or listener.hears_tests)
        as_one = not heard and self._steps_per_launch >= self.n_batches
        if as_one:
            self._stack.state, logs = self._begun(epoch) or self._begin(order)
        else:
            trained = self._train_in_pieces(order, _if(listener, "hears_batches"))
            tested = self._test_in_pieces(_if(listener, "hears_tests"))
            logs = trained | {f"val_{name}": values for name, values in tested.items()}
        # while the device works
        self._drawn = epoch + 1, self._batches.orders(self.rows, epoch + 1)
        if as_one and more and self._looks_ahead:
            before = self._stack.state
            self._ahead = _Ahead(epoch + 1, before, *self._begin(self._drawn[1]))
        return self._on_host(logs)

    def stop(self, stopping: BoolArray) -> None:
        """Freeze the runs marked here (one mark for each run in `runs`); the others go on.

        A frozen model keeps its weights as its own. Its row is computed on, unseen, until half of
        the rows are frozen; then the others are stacked anew.
        """
        for row in self._alive[stopping]:
            self._stack.freeze(row)
        if 0 < 2 * len(self._alive) <= len(self.rows):
            epoch, order = self._drawn
            self._drawn = epoch, order[self._alive]
            self._stack = Stack(self.models, self.runs, self._device)
            self._ahead = None

    def release(self) -> None:
        """Give every model that still trains its weights; the group is of no use afterwards."""
        for row in self._alive:
            self._stack.freeze(row)

    def example(self, row: int) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """None: models of Keras know the shapes of their inputs."""
        return (), {}

    def layers(self, row: int) -> list[keras.Layer]:
        """The layer of each place, in the model of the run at this position in `runs`."""
        return watched_layers(self.models[row])

    def activations(self, examples: FloatArray) -> list[FloatArray]:
        """The output of each place, shape (runs, n_examples, n_units)."""
        return to_host(self.outputs(examples))

    def outputs(self, examples: FloatArray) -> list[torch.Tensor]:
        """The same as tensors on the group's device, in the memory that JAX has written."""
        known = zip(self._examples, (self._train, self._test), strict=True)
        inputs = next((data.examples for here, data in known if here is examples), None)
        if inputs is None:
            inputs = jax.device_put(examples, self._device)
        return self._tensors(self._programs.outputs(self._stack.state, inputs))

    def gradients(self, epoch: int) -> Iterator[list[FloatArray]]:
        """The gradients of an epoch's batches at the current weights, batch by batch.

        Yields:
            For each place the gradient of its kernels, shape (runs, n_weights).
        """
        order = self._order(epoch)
        for batch in self._batches.slices:
            chosen = order[:, batch]
            found = self._programs.gradients(self._stack.state, chosen, self._train)
            yield to_host(self._tensors(found))

    def kernels(self) -> list[FloatArray]:
        """The kernels of each place, shape (runs, n_weights)."""
        state, alive = self._stack.state, self._alive

        def of_runs(field: int, index: int) -> FloatArray:
            # the memory of a state is used again, so what is kept of it is copied
            return np.array(in_full(state[field][index]))[alive].reshape(len(alive), -1)

        return [
            np.concatenate([of_runs(*position) for position in of_place], axis=1)
            for of_place in self._programs.kernels
        ]

    @property
    def _alive(self) -> IntArray:
        return self._stack.training

    @property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(batch.stop - batch.start for batch in self._batches.slices)

    @property
    def _steps_per_launch(self) -> int:
        if self._one_by_one:
            return 1
        of_step = self._multiplications * self._batches.batch_size * len(self.rows)
        return max(1, MULTIPLICATIONS_PER_LAUNCH // of_step)

    def _trace(self) -> None:
        """Write the program of an epoch down, without compiling it."""
        state, order = self._stack.state, self._order(0)
        traced = self._programs.epoch.trace(state, order, self._train, self._test, self._sizes)
        _, logs = traced.out_info
        for name, values in logs.items():
            if len(values.shape) > 1:
                raise ObstacleError(f"the metric {name} is more than one number")

    def _begin(self, order: IntArray) -> tuple[State, Logs]:
        """Let the device train for an epoch."""
        begun: tuple[State, Logs] = self._launch(
            self._programs.epoch, order, self._train, self._test, self._sizes
        )
        return begun

    def _begun(self, epoch: int) -> tuple[State, Logs] | None:
        """What has been begun before, if it is this epoch, and no model was changed since."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        if ahead.epoch == epoch and ahead.before is self._stack.state:
            return ahead.state, ahead.logs
        # who changes models once does it often
        self._looks_ahead = False
        return None

    def _launch(self, program: Any, *arguments: Any) -> Any:
        self.launches += 1
        return program(self._stack.state, *arguments)

    def _train_in_pieces(self, order: IntArray, listener: Listener | None) -> Logs:
        slices, sizes, logs = self._batches.slices, self._sizes, {}
        metrics = self._no_metrics()
        at_a_time = 1 if listener is not None else self._steps_per_launch
        for first in range(0, len(slices), at_a_time):
            last = min(first + at_a_time, len(slices)) - 1
            trains = None
            if listener is not None:
                listener.on_train_batch_begin(first)
                trains = np.zeros(len(self.rows), dtype=bool)
                trains[self._alive[~self._stack.stops]] = True
            chosen = order[:, slices[first].start : slices[last].stop]
            self._stack.state, metrics, logs = self._launch(
                self._programs.steps, metrics, trains, chosen, self._train, sizes[first : last + 1]
            )
            if listener is not None:
                listener.on_train_batch_end(last, self._on_host(logs))
                if self._stack.stops.all():
                    break
        return logs

    def _test_in_pieces(self, listener: Listener | None) -> Logs:
        metrics, logs = self._no_metrics(), {}
        if listener is not None:
            listener.on_test_begin()
        for index, (first, last) in enumerate(self._programs.tests(len(self._test.examples))):
            if listener is not None:
                listener.on_test_batch_begin(index)
            self._stack.state, metrics, logs = self._launch(
                self._programs.test, metrics, self._test, first, last
            )
            if listener is not None:
                listener.on_test_batch_end(index, self._on_host(logs))
        if listener is not None:
            listener.on_test_end(self._on_host(logs))
        return logs

    def _no_metrics(self) -> Arrays:
        n_runs = len(self.rows)
        zeros = [np.broadcast_to(v, (n_runs, *v.shape)) for v in self._programs.no_metrics]
        metrics: Arrays = jax.device_put(zeros, self._device)
        return metrics

    def _order(self, epoch: int) -> IntArray:
        """Which examples each run sees in an epoch: int64, shape (runs, examples in an epoch)."""
        if self._drawn[0] != epoch:
            self._drawn = epoch, self._batches.orders(self.rows, epoch)
        return self._drawn[1]

    def _tensors(self, arrays: Arrays) -> list[torch.Tensor]:
        return [select(from_dlpack(array), self._alive) for array in arrays]

    def _on_host(self, logs: Logs) -> dict[str, FloatArray]:
        found = jax.device_get(logs)
        return {name: select(values, self._alive) for name, values in found.items()}


def _build(template: keras.Model, train: Data, batch_size: int) -> None:
    """Make the variables of a model's metrics and optimizer, as `model.fit` does."""
    some = [jax.ShapeDtypeStruct((batch_size, *v.shape[1:]), v.dtype) for v in train]
    template._symbolic_build(data_batch=(*some, None))


def _if(listener: Listener | None, wish: str) -> Listener | None:
    return listener if listener is not None and getattr(listener, wish) else None


def _cause(error: Exception) -> str:
    """The first line of the message that is not what Keras wraps around it."""
    lines = re.sub(r"\x1b\[\d*m", "", str(error)).splitlines()
    said = [line for line in lines if line and not line.startswith("Exception encountered when")]
    return said[0] if said else type(error).__name__
