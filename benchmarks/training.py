"""Milliseconds to train one run for one epoch: `model.fit`, a hand-written loop, and the ensemble.

python -m benchmarks.training
python -m benchmarks.training --runs 1 5 --examples 1600 --data mnist.npz

Each backend is timed in a process of its own. On jax the loop by hand and the ensemble take turns,
so that noise hits both alike; the loop by hand is `jax.vmap` over runs and `lax.scan` over steps,
with the examples first, as one would write it without this project.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

BACKENDS = ("torch", "tensorflow", "jax")
LEARNING_RATE = 0.0004
WIDTHS = (10, 7, 5, 4, 3)
BATCH_SIZE = 256
LENET_BATCH = 100

Epoch = Callable[[], object]


def fastest(epochs: dict[str, Epoch], rounds: int) -> dict[str, float]:
    """Milliseconds of the fastest epoch of each, which take turns; the first of each compiles."""
    for epoch in epochs.values():
        epoch()
    best = dict.fromkeys(epochs, np.inf)
    for _ in range(rounds):
        for name, epoch in epochs.items():
            start = time.perf_counter()
            epoch()
            best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
    return best


def classic(n_runs: int) -> tuple[list[Any], Any, int]:
    """Networks 12-10-7-5-4-3-2, their data, and the size of a batch."""
    from deep_bottleneck.datasets import harmonics
    from deep_bottleneck.models import feedforward

    dataset = harmonics.load()
    sizes = dataset.input_size, dataset.n_classes
    models = [
        feedforward.load(WIDTHS, "tanh", "adam", LEARNING_RATE, *sizes) for _ in range(n_runs)
    ]
    return models, dataset, BATCH_SIZE


def lenet(data: Path, n_examples: int) -> tuple[list[Any], Any, int]:
    """LeNet-5, so many digits, and the size of a batch."""
    from deep_bottleneck.interfaces import Dataset, LabelledDataset
    from deep_bottleneck.models import lenet5

    with np.load(data) as digits:
        images, labels = digits["x_train"][..., None] / 255, digits["y_train"]
    n_test = n_examples // 5
    train = LabelledDataset.from_labels(images[:n_examples], labels[:n_examples], 10)
    test = LabelledDataset.from_labels(images[-n_test:], labels[-n_test:], 10)
    return [lenet5.load((28, 28, 1), 10, "adam", 1e-3)], Dataset(train, test, 10), LENET_BATCH


def model_fit(model: Any, dataset: Any, batch_size: int) -> Epoch:
    """An epoch of Keras' own loop."""

    def epoch() -> None:
        model.fit(
            dataset.train.examples,
            dataset.train.one_hot_labels,
            batch_size=batch_size,
            validation_data=(dataset.test.examples, dataset.test.one_hot_labels),
            validation_batch_size=len(dataset.test),
            verbose=0,
        )

    return epoch


def ensemble(models: Sequence[Any], dataset: Any, batch_size: int) -> Epoch:
    """An epoch of the runs of an ensemble (jax)."""
    from deep_bottleneck.training.batches import Batches
    from deep_bottleneck.training.lockstep.compiled import CompiledGroup

    batches = Batches(len(dataset.train), batch_size, None, seed=0)
    group = CompiledGroup(models, range(len(models)), dataset, batches)
    epochs = iter(range(10**9))
    return lambda: group.train_epoch(next(epochs))


def by_hand(models: Sequence[Any], dataset: Any, batch_size: int) -> Epoch:
    """An epoch of the classic networks as one would write it in JAX, with the test set."""
    import jax
    import jax.numpy as jnp

    examples = len(dataset.train)
    whole = examples // batch_size * batch_size

    def outputs(weights: Any, inputs: Any) -> Any:
        *hidden, (kernel, bias) = weights
        for of_layer, bias_of_layer in hidden:
            inputs = jnp.tanh(inputs @ of_layer + bias_of_layer)
        return inputs @ kernel + bias

    def measured(weights: Any, inputs: Any, targets: Any) -> Any:
        logits = outputs(weights, inputs)
        loss = -(targets * jax.nn.log_softmax(logits)).sum(-1).mean()
        return loss, (logits.argmax(-1) == targets.argmax(-1)).mean()

    def adam(state: Any, gradient: Any) -> Any:
        weights, first, second, steps = state
        steps = steps + 1
        first = jax.tree.map(lambda m, g: m + (g - m) * 0.1, first, gradient)
        second = jax.tree.map(lambda v, g: v + (g * g - v) * 0.001, second, gradient)
        rate = LEARNING_RATE * jnp.sqrt(1 - 0.999**steps) / (1 - 0.9**steps)
        weights = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), weights, first, second
        )
        return weights, first, second, steps

    def epoch(state: Any, order: Any, train: Any, test: Any) -> Any:
        def step(state: Any, chosen: Any) -> Any:
            batch = [values[chosen] for values in train]
            (loss, hits), gradient = jax.value_and_grad(measured, has_aux=True)(state[0], *batch)
            return adam(state, gradient), jnp.stack([loss, hits]) * len(chosen)

        state, of_whole = jax.lax.scan(step, state, order[:whole].reshape(-1, batch_size))
        state, of_rest = step(state, order[whole:])
        return state, ((of_whole.sum(0) + of_rest) / examples, measured(state[0], *test))

    over_runs = jax.jit(jax.vmap(epoch, in_axes=(0, 0, None, None)), donate_argnums=0)
    train, test = (
        jax.device_put((part.examples, part.one_hot_labels))
        for part in (dataset.train, dataset.test)
    )
    flat = [model.get_weights() for model in models]
    stacked = [jnp.stack(of_runs) for of_runs in zip(*flat, strict=True)]
    weights = list(zip(stacked[::2], stacked[1::2], strict=True))
    zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
    held = [(weights, *zeros, jnp.zeros(len(models), jnp.int32))]
    generator = np.random.default_rng(0)

    def one() -> object:
        order = np.stack([generator.permutation(examples) for _ in models])
        held[0], logs = over_runs(held[0], order, train, test)
        return jax.device_get(logs)

    return one


def timed(options: argparse.Namespace) -> dict[str, float]:
    """What is timed on the backend of this process: milliseconds a run and epoch, by name."""
    on_jax = os.environ["KERAS_BACKEND"] == "jax"
    times: dict[str, float] = {}
    models, *problem = classic(1)
    times["classic fit 1"] = fastest({"fit": model_fit(*models, *problem)}, 5)["fit"]
    for n_runs in options.runs if on_jax else ():
        models, *problem = classic(n_runs)
        ways = {"by hand": by_hand(models, *problem), "ours": ensemble(models, *problem)}
        for name, milliseconds in fastest(ways, options.rounds).items():
            times[f"classic {name} {n_runs}"] = milliseconds / n_runs
    if options.data is not None:
        models, *problem = lenet(options.data, options.examples)
        ways = {"fit": model_fit(*models, *problem)}
        if on_jax:
            ways["ours"] = ensemble(lenet(options.data, options.examples)[0], *problem)
        for name, milliseconds in fastest(ways, 3).items():
            times[f"lenet {name} 1"] = milliseconds
    return times


def main() -> None:
    """Print a table: milliseconds per run and epoch, and how many times faster ours is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 5, 50, 500])
    parser.add_argument("--rounds", type=int, default=20, help="epochs to choose the fastest of")
    parser.add_argument("--data", type=Path, help="mnist.npz, for LeNet-5")
    parser.add_argument("--examples", type=int, default=10_000, help="digits that LeNet-5 sees")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(timed(options)))
        return
    found = {}
    for backend in BACKENDS:
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-m", "benchmarks.training", "--here", *sys.argv[1:]]
        # this module again, with what the user has typed
        answer = subprocess.run(  # noqa: S603
            command, env=environment, check=True, stdout=subprocess.PIPE
        )
        found[backend] = json.loads(answer.stdout.splitlines()[-1])
    for network in ("classic", "lenet"):
        ours = {name: ms for name, ms in found["jax"].items() if name.startswith(f"{network} ours")}
        for name, milliseconds in ours.items():
            n_runs = name.rsplit(maxsplit=1)[1]
            print(f"\n{network}, {n_runs} runs: ours {milliseconds:.3f} ms per run and epoch")
            others = {f"model.fit on {b}": found[b].get(f"{network} fit 1") for b in BACKENDS}
            others["by hand in JAX"] = found["jax"].get(f"{network} by hand {n_runs}")
            for other, theirs in others.items():
                if theirs is not None:
                    ratio = theirs / milliseconds
                    print(f"    {other:22s} {theirs:10.3f} ms, {ratio:6.2f} times ours")


if __name__ == "__main__":
    main()
