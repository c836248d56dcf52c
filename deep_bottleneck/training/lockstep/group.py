"""n_runs Keras models of one architecture that take every step together (torch backend).

One training step of one run is written as a pure function with Keras' stateless API, vectorised
over runs with `torch.vmap`, and traced once for each batch size: every later step costs neither
Keras' Python overhead nor a loop over runs. Data, weights and the order of examples lie on one
device. On a CUDA device many steps are launched at once, and the host waits for it once an epoch,
for the metrics.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import torch

from deep_bottleneck.interfaces import BoolArray, Dataset, FloatArray
from deep_bottleneck.machine.device import of, select, to_device, to_host
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.layers import feature_extractor, layer_outputs, layers_with_kernel
from deep_bottleneck.training.lockstep.cuda_graph import Work, launcher
from deep_bottleneck.training.lockstep.stacking import Stack, Tensors, detach
from deep_bottleneck.training.lockstep.tracing import vectorised

# More steps in a launch save little, and take memory and time to capture.
STEPS_PER_LAUNCH = 32

# Optimizers that treat every weight by itself, so that all weights may lie in one vector.
ELEMENTWISE_OPTIMIZERS = frozenset(
    {"Adadelta", "Adagrad", "Adam", "Adamax", "Lion", "Nadam", "RMSprop", "SGD"}
)
COUPLING_OPTIONS = (
    "clipnorm",
    "global_clipnorm",
    "gradient_accumulation_steps",
    "loss_scale_factor",
    "use_ema",
    "weight_decay",
)


def obstacle(models: Sequence[keras.Model]) -> str | None:
    """Why these models cannot be trained in lock-step, None if they can."""
    backend = keras.backend.backend()
    if backend != "torch":
        return f"the backend is {backend}"
    template = models[0]
    shapes = [variable.shape for variable in template.variables]
    if any([variable.shape for variable in model.variables] != shapes for model in models):
        return "the models differ in shape"
    if any(variable.dtype != "float32" for variable in template.variables):
        return "a layer draws random numbers or has weights that are not float32"
    optimizer = template.optimizer
    name = type(optimizer).__name__
    if name not in ELEMENTWISE_OPTIMIZERS:
        return f"the optimizer {name} does not treat each weight by itself"
    for option in COUPLING_OPTIONS:
        if getattr(optimizer, option, None):
            return f"the option {option} of {name} is set"
    return None


class BatchListener(Protocol):
    """Hears of every batch.

    Attributes:
        hears_batches: whether it wants to.
    """

    hears_batches: bool

    def on_train_batch_begin(self, index: int) -> None:
        """A batch is about to be trained on."""
        ...

    def on_train_batch_end(self, index: int, logs: dict[str, FloatArray]) -> None:
        """A batch was trained on; logs has the mean loss and accuracy so far, shape (runs,)."""
        ...


class LockstepGroup:
    """Runs that train together.

    Attributes:
        layer_names: names of the layers with a kernel.
        layer_outputs: name and shape of the output of each of them.
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        runs: Sequence[int],
        dataset: Dataset,
        batches: Batches,
        device: torch.device | None = None,
        launcher: Callable[[Work, Sequence[torch.Tensor], torch.device], Work] = launcher,
    ) -> None:
        """Stack the models.

        Args:
            models: one for each run.
            runs: their numbers.
            dataset: what to train and test on.
            batches: which examples a run sees.
            device: where to train, None for where the models lie; what leaves the group goes back
                there.
            launcher: makes a launch of many steps, as `cuda_graph.launcher` does.
        """
        self._launcher = launcher
        self._template = models[0]
        self._home = of(models[0])
        self._device = self._home if device is None else device
        self._loss = keras.losses.get(self._template.loss)
        self._extractor = feature_extractor(self._template)
        self._batches = batches
        layers = layers_with_kernel(self._template)
        self.layer_names = [layer.name for layer in layers]
        self.layer_outputs = layer_outputs(self._template)
        weights = [id(variable) for variable in self._template.trainable_variables]
        self._kernel_positions = [weights.index(id(layer.kernel)) for layer in layers]
        self._examples = [
            (part.examples, self._tensor(part.examples)) for part in (dataset.train, dataset.test)
        ]
        (_, self._train_examples), (_, self._test_examples) = self._examples
        self._train_targets = self._tensor(dataset.train.one_hot_labels)
        self._test_targets = self._tensor(dataset.test.one_hot_labels)
        self._drawn: tuple[int, torch.Tensor] | None = None
        self._launch_test: Work | None = None
        self._restack(models, runs)

    @property
    def runs(self) -> list[int]:
        """The runs that still train."""
        return [run for run, trains in zip(self._runs, self._trains, strict=True) if trains]

    @property
    def rows(self) -> list[int]:
        """The runs that are computed, frozen ones among them."""
        return list(self._runs)

    @property
    def models(self) -> list[keras.Model]:
        """The models of those runs."""
        return [model for model, trains in zip(self._models, self._trains, strict=True) if trains]

    @property
    def n_batches(self) -> int:
        """How many steps an epoch has."""
        return len(self._batches.slices)

    @property
    def multiplications(self) -> int:
        """About how many one step takes forward: each weight meets each example of a batch."""
        return self._stack.parameters.numel() * self._batches.batch_size

    def obstacle(self) -> str | None:
        """Why a step of these models cannot be vectorised over runs, None if it can."""
        batch = self._batch(self._order(0)[:, self._batches.slices[0]])
        try:
            self._call(self._updated, (self._stack.optimizer_state, *batch))
        except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            return f"a step cannot be vectorised ({_cause(error)})"
        return None

    def train_epoch(
        self, epoch: int, listener: BatchListener | None = None
    ) -> dict[str, FloatArray]:
        """Train all runs for one epoch.

        Args:
            epoch: the epoch, which decides the order of examples.
            listener: hears of each batch before and after it, if it wants to.

        Returns:
            Mean "loss" and "accuracy" over the epoch's batches, and after it "val_loss" and
            "val_accuracy" on the test examples, each of shape (runs,).
        """
        if listener is not None and not listener.hears_batches:
            listener = None
        self._totals.zero_()
        seen, order = 0, self._order(epoch)
        slices = self._batches.slices
        steps_per_launch = STEPS_PER_LAUNCH if listener is None else 1
        for first in range(0, len(slices), steps_per_launch):
            some = slices[first : first + steps_per_launch]
            if listener is not None:
                listener.on_train_batch_begin(first)
            self._launch(order[:, some[0].start : some[-1].stop], [s.stop - s.start for s in some])
            seen = some[-1].stop
            if listener is not None:
                logs = self._logs(self._totals / seen, "loss", "accuracy")
                listener.on_train_batch_end(first, logs)
        if self._launch_test is None:
            self._launch_test = self._launcher(self._test, [self._tested], self._device)
        self._launch_test()
        if self._device.type == "cuda":
            # while the device works; on a CPU there is nobody else to do it
            self._drawn = (epoch + 1, self._new_order(epoch + 1))
        measured = torch.cat([self._totals / seen, self._tested], dim=1)
        return self._logs(measured, "loss", "accuracy", "val_loss", "val_accuracy")

    def stop(self, stopping: BoolArray) -> None:
        """Freeze the runs marked here (one mark for each run in `runs`); the others go on.

        A frozen model keeps its weights as its own. Its row is computed on, unseen, until half of
        the rows are frozen; then the others are stacked anew.
        """
        for row in np.flatnonzero(self._trains)[stopping]:
            self._trains[row] = False
            detach(self._models[row], self._home)
        if 0 < 2 * self._trains.sum() <= len(self._trains):
            self._restack(self.models, self.runs)

    def release(self) -> None:
        """Give every model that still trains storage of its own, where it came from.

        The group is of no use afterwards.
        """
        for model in self.models:
            detach(model, self._home)
        # they know the group, which would keep its memory
        self._launchers.clear()
        self._launch_test = None
        self._graphs.clear()

    def activations(self, examples: FloatArray) -> list[FloatArray]:
        """The output of each layer with a kernel, shape (runs, n_examples, n_units)."""
        return to_host(self.outputs(examples))

    def outputs(self, examples: FloatArray) -> list[torch.Tensor]:
        """The same as tensors on the group's device."""
        inputs = next((there for here, there in self._examples if here is examples), None)
        if inputs is None:
            inputs = self._tensor(examples)
        outputs = self._call(self._features, shared=(inputs,))
        return [self._rows(output.flatten(start_dim=2)) for output in outputs]

    def gradients(self, epoch: int) -> Iterator[list[FloatArray]]:
        """The gradients of an epoch's batches at the current weights, batch by batch.

        Yields:
            For each layer with a kernel the kernel's gradient, shape (runs, n_weights).
        """
        order = self._order(epoch)
        for batch in self._batches.slices:
            yield self._kernels_of(self._call(self._gradient, self._batch(order[:, batch])))

    def kernels(self) -> list[FloatArray]:
        """The kernel of each layer that has one, shape (runs, n_weights)."""
        return self._kernels_of(self._stack.parameters.clone())

    def _restack(self, models: Sequence[keras.Model], runs: Sequence[int]) -> None:
        self._models, self._runs = list(models), list(runs)
        self._trains = np.ones(len(runs), dtype=bool)
        self._stack = Stack(models, self._device)
        # loss and accuracy: added up over examples, and on the test examples
        self._totals = torch.zeros(len(runs), 2, device=self._device)
        self._tested = torch.zeros(len(runs), 2, device=self._device)
        self._graphs: dict[Any, Any] = {}
        self._launchers: dict[tuple[int, ...], tuple[torch.Tensor, Work]] = {}
        self._launch_test = None
        self._drawn = None

    def _order(self, epoch: int) -> torch.Tensor:
        """Which examples each run sees in an epoch, shape (runs, examples in an epoch)."""
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = (epoch, self._new_order(epoch))
        return self._drawn[1]

    def _new_order(self, epoch: int) -> torch.Tensor:
        order = torch.from_numpy(self._batches.orders(self._runs, epoch))
        return to_device(order, self._device)

    def _batch(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self._train_examples[chosen], self._train_targets[chosen]

    def _launch(self, order: torch.Tensor, sizes: Sequence[int]) -> None:
        """Take consecutive steps on the examples in this order, so many in each step."""
        if tuple(sizes) not in self._launchers:
            chosen = torch.zeros_like(order, memory_format=torch.contiguous_format)
            changed = [*self._stack.tensors, self._totals]
            work = self._launcher(lambda: self._steps(chosen, sizes), changed, self._device)
            self._launchers[tuple(sizes)] = chosen, work
        chosen, work = self._launchers[tuple(sizes)]
        chosen.copy_(order)
        work()

    def _steps(self, chosen: torch.Tensor, sizes: Sequence[int]) -> None:
        for indices in chosen.split(list(sizes), dim=1):
            measured, *state = self._call(
                self._updated, (self._stack.optimizer_state, *self._batch(indices))
            )
            self._stack.update(*state)
            self._totals.add_(measured * indices.shape[1])

    def _test(self) -> None:
        test = (self._test_examples, self._test_targets)
        self._tested.copy_(self._call(self._evaluated, shared=test))

    def _call(
        self, function: Callable[..., Any], stacked: Sequence[Any] = (), shared: Sequence[Any] = ()
    ) -> Any:
        """Call a function of one run's weights for all runs at once.

        Args:
            function: takes the trainable weights, the other weights, and the arguments below.
            stacked: arguments with a leading run axis.
            shared: arguments that all runs share.
        """
        arguments = (self._stack.parameters, self._stack.others, *stacked, *shared)
        batch_shapes = tuple(a.shape for a in arguments if isinstance(a, torch.Tensor))
        graph = self._graphs.get((function, batch_shapes))
        if graph is None:
            graph = vectorised(function, arguments, n_stacked=2 + len(stacked))
            self._graphs[function, batch_shapes] = graph
        with torch.no_grad():
            return graph(*arguments)

    def _tensor(self, array: np.ndarray[Any, Any]) -> torch.Tensor:
        return torch.as_tensor(array, device=self._device)

    def _rows(self, values: torch.Tensor) -> torch.Tensor:
        """Of the runs that still train."""
        return select(values, np.flatnonzero(self._trains))

    def _logs(self, values: torch.Tensor, *names: str) -> dict[str, FloatArray]:
        (measured,) = to_host([self._rows(values)])
        return dict(zip(names, measured.T, strict=True))

    def _kernels_of(self, matrix: torch.Tensor) -> list[FloatArray]:
        kernels = [self._stack.columns(index, matrix) for index in self._kernel_positions]
        return to_host([self._rows(kernel) for kernel in kernels])

    # What follows are pure functions of one run's weights, for `_call`.

    def _measured(
        self,
        parameters: torch.Tensor,
        others: Tensors,
        examples: torch.Tensor,
        targets: torch.Tensor,
        training: bool = True,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, Tensors]]:
        predictions, others, penalties = self._template.stateless_call(
            self._stack.split(parameters), others, examples, training=training, return_losses=True
        )
        loss = self._loss(targets, predictions).mean() + sum(penalties)
        hits = (predictions.argmax(dim=-1) == targets.argmax(dim=-1)).to(loss.dtype)
        return loss, (torch.stack([loss, hits.mean()]), list(others))

    def _gradient(self, *arguments: Any) -> torch.Tensor:
        gradient: torch.Tensor
        gradient, _ = torch.func.grad(self._measured, has_aux=True)(*arguments)
        return gradient

    def _updated(
        self,
        parameters: torch.Tensor,
        others: Tensors,
        optimizer_state: Tensors,
        examples: torch.Tensor,
        targets: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, Tensors, Tensors]:
        gradient, (measured, others) = torch.func.grad(self._measured, has_aux=True)(
            parameters, others, examples, targets
        )
        (parameters,), optimizer_state = self._stack.optimizer.stateless_apply(
            optimizer_state, [gradient], [parameters]
        )
        return measured, self._constrained(parameters), others, list(optimizer_state)

    def _constrained(self, parameters: torch.Tensor) -> torch.Tensor:
        constraints = [variable.constraint for variable in self._template.trainable_variables]
        if not any(constraints):
            return parameters
        weights = zip(constraints, self._stack.split(parameters), strict=True)
        return torch.cat(
            [(constraint(w) if constraint else w).flatten() for constraint, w in weights]
        )

    def _evaluated(
        self,
        parameters: torch.Tensor,
        others: Tensors,
        examples: torch.Tensor,
        targets: torch.Tensor,
    ) -> torch.Tensor:
        _, (measured, _) = self._measured(parameters, others, examples, targets, training=False)
        return measured

    def _features(
        self, parameters: torch.Tensor, others: Tensors, examples: torch.Tensor
    ) -> Tensors:
        outputs, _ = self._extractor.stateless_call(
            self._stack.split(parameters), others, examples, training=False
        )
        return list(outputs[: len(self.layer_names)])


def _cause(error: Exception) -> str:
    """The first line of the message that is not what Keras wraps around it."""
    lines = re.sub(r"\x1b\[\d*m", "", str(error)).splitlines()
    said = [line for line in lines if line and not line.startswith("Exception encountered when")]
    return said[0] if said else type(error).__name__
