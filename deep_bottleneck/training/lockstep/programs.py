"""What the runs of a group do in one launch, compiled by XLA.

Each program is written for one run, with Keras' own stateless steps of a model's trainer: all that
a model is compiled with, and a step that a subclass has of its own, is what `model.fit` takes as
well. `over_runs` makes it one program for all runs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras

from deep_bottleneck.training.layers import feature_extractor, in_full, kernels_of, watched_layers
from deep_bottleneck.training.lockstep.convolutions import as_products
from deep_bottleneck.training.lockstep.layout import examples_last

Arrays = list[jax.Array]
Logs = dict[str, jax.Array]


class State(NamedTuple):
    """All that a run, or with a leading axis all runs, are between two steps.

    Attributes:
        trainable: the trainable weights.
        others: the other weights: frozen ones, moving averages, states of random generators.
        optimizer: the optimizer's variables.
    """

    trainable: Arrays
    others: Arrays
    optimizer: Arrays


class Data(NamedTuple):
    """Examples and their targets, which all runs share."""

    examples: jax.Array
    targets: jax.Array


class Programs:
    """The programs for models of one architecture; XLA compiles each when it is first called.

    The attributes are functions of all runs: state, metrics, orders and marks, and all that they
    return, have a leading axis of runs.

    Attributes:
        epoch: (state, order, train, test, sizes) -> (state, logs): steps on so many examples each,
            in this order, then a test. But for a CPU, where the state before may still be looked
            at while an epoch is trained, its memory is used for the new one.
        steps: (state, metrics, trains, order, train, sizes) -> (state, metrics, logs): some of an
            epoch's steps, for the runs marked in `trains`, or for all where it is None.
        test: (state, metrics, test, first, last) -> (state, metrics, logs): a test on some of the
            examples.
        outputs: (state, examples) -> of each place its output, flattened.
        gradients: (state, chosen, train) -> of each place the gradient of its kernels, in one
            vector.
        no_metrics: what a run's metrics have counted before the first batch.
        kernels: for each place where its kernels are: in which field of a state, and which of its
            arrays they are.
    """

    def __init__(self, template: keras.Model, test_batch_size: int, for_cpu: bool) -> None:
        """Write the programs down.

        Args:
            template: lends its code; its metrics and its optimizer must be built.
            test_batch_size: how many examples to test on at a time.
            for_cpu: whether layers are computed as a CPU does fastest.
        """
        self._template = template
        self._extractor = feature_extractor(template)
        self._for_cpu = for_cpu
        self._test_batch_size = test_batch_size
        template.reset_metrics()
        self.no_metrics = [variable.value for variable in template.metrics_variables]
        trainable = [id(variable) for variable in template.trainable_variables]
        others = [id(variable) for variable in template.non_trainable_variables]
        positions = {
            identity: (field, index)
            for field, identities in enumerate((trainable, others))
            for index, identity in enumerate(identities)
        }
        self.kernels = [
            [positions[id(kernel)] for kernel in kernels_of(layer)]
            for layer in watched_layers(template)
        ]
        used_again = () if for_cpu else 0
        self.epoch = jax.jit(self._epochs, static_argnums=4, donate_argnums=used_again)
        self.steps = jax.jit(self._some_steps, static_argnums=5, donate_argnums=(0, 1))
        self.test = jax.jit(self._tests, static_argnums=(3, 4))
        self.outputs = jax.jit(over_runs(self._outputs, n_shared=1))
        self.gradients = jax.jit(over_runs(self._gradients, n_shared=1))

    def tests(self, n_examples: int) -> list[tuple[int, int]]:
        """Where the examples of each test begin and end."""
        size = self._test_batch_size
        return [(first, min(first + size, n_examples)) for first in range(0, n_examples, size)]

    # Programs of all runs.

    def _epochs(
        self, state: State, order: jax.Array, train: Data, test: Data, sizes: tuple[int, ...]
    ) -> tuple[State, Logs]:
        def epoch(state: State, order: jax.Array, train: Data, test: Data) -> tuple[State, Logs]:
            state, metrics, of_last = self._train(state, self.no_metrics, order, train, sizes)
            logs = self._logs(metrics, of_last)
            metrics = self.no_metrics
            tested: Logs = {}
            for first, last in self.tests(len(test.examples)):
                state, metrics, tested = self._evaluate(state, metrics, test, first, last)
            return state, logs | {f"val_{name}": value for name, value in tested.items()}

        return over_runs(epoch, n_shared=2)(state, order, train, test)

    def _some_steps(
        self,
        state: State,
        metrics: Arrays,
        trains: jax.Array | None,
        order: jax.Array,
        train: Data,
        sizes: tuple[int, ...],
    ) -> tuple[State, Arrays, Logs]:
        def steps(
            state: State, metrics: Arrays, trains: jax.Array | None, order: jax.Array, train: Data
        ) -> tuple[State, Arrays, Logs]:
            new, counted, of_last = self._train(state, metrics, order, train, sizes)
            if trains is not None:
                new, counted = jax.tree.map(
                    lambda after, before: jnp.where(trains, after, before),
                    (new, counted),
                    (state, metrics),
                )
            return new, counted, self._logs(counted, of_last)

        return over_runs(steps, n_shared=1)(state, metrics, trains, order, train)

    def _tests(
        self, state: State, metrics: Arrays, test: Data, first: int, last: int
    ) -> tuple[State, Arrays, Logs]:
        def evaluate(state: State, metrics: Arrays, test: Data) -> tuple[State, Arrays, Logs]:
            return self._evaluate(state, metrics, test, first, last)

        return over_runs(evaluate, n_shared=1)(state, metrics, test)

    # What one run does.

    def _train(
        self, state: State, metrics: Arrays, order: jax.Array, train: Data, sizes: Sequence[int]
    ) -> tuple[State, Arrays, Logs]:
        def step(carried: tuple[State, Arrays], chosen: jax.Array) -> tuple[Any, Logs]:
            state, metrics = carried
            with self._traced():
                batch = train.examples[chosen], train.targets[chosen]
                logs, (*new, metrics) = self._template.train_step((*state, metrics), batch)
            return (State(*map(list, new)), list(metrics)), logs

        carried, start = (state, metrics), 0
        logs: Logs = {}
        for size, equal in groupby(sizes):
            n_steps = len(list(equal))
            stop = start + n_steps * size
            carried, logs = _repeated(step, carried, order[start:stop].reshape(n_steps, size))
            start = stop
        return *carried, logs

    def _evaluate(
        self, state: State, metrics: Arrays, test: Data, first: int, last: int
    ) -> tuple[State, Arrays, Logs]:
        batch = test.examples[first:last], test.targets[first:last]
        with self._traced():
            logs, (trainable, others, metrics) = self._template.test_step(
                (state.trainable, state.others, metrics), batch
            )
        new = State(list(trainable), list(others), state.optimizer)
        return new, list(metrics), self._logs(metrics, logs)

    def _outputs(self, state: State, examples: jax.Array) -> Arrays:
        variables = self._template.trainable_variables + self._template.non_trainable_variables
        values = [*state.trainable, *state.others]
        with keras.StatelessScope(list(zip(variables, values, strict=True))), self._traced():
            outputs = self._extractor(examples, training=False)
        return [output.reshape(len(examples), -1) for output in outputs[: len(self.kernels)]]

    def _gradients(self, state: State, chosen: jax.Array, train: Data) -> Arrays:
        def loss(kernels: dict[tuple[int, int], jax.Array]) -> jax.Array:
            fields = [list(state.trainable), list(state.others)]
            for (field, index), kernel in kernels.items():
                fields[field][index] = kernel
            with self._traced():
                _, (unscaled, *_) = self._template.compute_loss_and_updates(
                    *fields,
                    self.no_metrics,
                    train.examples[chosen],
                    train.targets[chosen],
                    None,
                    training=True,
                    optimizer_variables=state.optimizer,
                )
            return unscaled

        where = {position for of_place in self.kernels for position in of_place}
        found = jax.grad(loss)({(field, index): state[field][index] for field, index in where})
        return [
            jnp.concatenate([in_full(found[position]).ravel() for position in of_place])
            for of_place in self.kernels
        ]

    def _logs(self, metrics: Arrays, logs: Logs) -> Logs:
        """The values of the metrics, as `model.fit` has them at the end of an epoch."""
        counted = list(zip(self._template.metrics_variables, metrics, strict=True))
        with keras.StatelessScope(counted):
            values = self._template._get_metrics_result_or_logs(logs)
        return {name: jnp.asarray(value, jnp.float32) for name, value in values.items()}

    @contextmanager
    def _traced(self) -> Iterator[None]:
        if not self._for_cpu:
            yield
            return
        with examples_last(self._template), as_products(self._template):
            yield


def over_runs(function: Callable[..., Any], n_shared: int) -> Callable[..., Any]:
    """A function of one run for all runs.

    Args:
        function: of arrays of one run, or trees of them, and of what all runs share.
        n_shared: how many of its last arguments they share.

    Returns:
        The same function, of arrays and to arrays with a leading axis of runs. A single run is
        computed as it is, since some operations are slower when they are vectorised.
    """

    def of_all(*arguments: Any) -> Any:
        own, shared = arguments[:-n_shared], arguments[-n_shared:]

        def of_one(*own: Any) -> Any:
            return function(*own, *shared)

        if len(jax.tree.leaves(own)[0]) > 1:
            return jax.vmap(of_one)(*own)
        result = of_one(*jax.tree.map(lambda values: values[0], own))
        return jax.tree.map(lambda values: values[None], result)

    return of_all


def _repeated(step: Callable[..., Any], carried: Any, inputs: jax.Array) -> tuple[Any, Logs]:
    """Steps on each of the inputs, and the logs of the last."""
    if len(inputs) == 1:
        # outside of a loop XLA has faster convolutions
        return step(carried, inputs[0])
    carried, logs = jax.lax.scan(step, carried, inputs)
    return carried, jax.tree.map(lambda values: values[-1], logs)


@jax.jit
def row_of(state: State, row: int) -> State:
    """The state of one run, of that of all runs."""
    of_row: State = jax.tree.map(lambda values: values[row], state)
    return of_row


@partial(jax.jit, donate_argnums=0)
def replaced_row(state: State, row: int, new: State) -> State:
    """The state of all runs with another one for one of them; its memory is used again."""
    replaced: State = jax.tree.map(lambda values, value: values.at[row].set(value), state, new)
    return replaced
