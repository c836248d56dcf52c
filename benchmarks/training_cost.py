"""Milliseconds to train one run for one epoch against its work, and what the machine allows.

One of runs, examples, units and layers grows while the others stay as they are. Two limits stand
beside it: the arithmetic of training at the speed of a large matrix product, and the bytes that
weights, optimizer and activations must move at the speed of a copy; both are measured here as well.

python -m benchmarks.training_cost --picture docs/pictures/training_cost.png
"""

import argparse
import itertools
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.timing import milliseconds
from deep_bottleneck.plotter.style import DPI, styled

INPUTS, CLASSES, BATCH_SIZE = 12, 2, 256
GROWING = {
    "runs": (1, 2, 5, 10, 20, 50, 100, 200, 500),
    "examples": (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000),
    "units": (10, 20, 50, 100, 200, 500, 1000),
    "layers": (2, 3, 5, 8, 12, 20),
}
# the largest of all of them together would take minutes an epoch
SIZE_OF_MACHINE = 2048
_FLOAT = 4


@dataclass(frozen=True)
class Work:
    """What is trained: so many networks with so many hidden layers of tanh units, by Adam."""

    runs: int = 5
    examples: int = 4096
    units: int = 10
    layers: int = 5

    @property
    def weights(self) -> int:
        """Of one network."""
        widths = [INPUTS, *[self.units] * self.layers, CLASSES]
        return sum((before + 1) * after for before, after in itertools.pairwise(widths))

    @property
    def operations(self) -> float:
        """Of one run and epoch: a multiplication and an addition for each weight and example.

        Forward, and twice as many backward: with respect to weights and to inputs.
        """
        return 6.0 * self.weights * self.examples

    @property
    def moved(self) -> float:
        """Bytes of one run and epoch that are read or written.

        In each step Adam reads weights, gradients and two moments and writes all but gradients;
        each activation is written once, and read by the layer after it, forward and backward.
        """
        steps = -(-self.examples // BATCH_SIZE)
        activations = INPUTS + self.units * self.layers + CLASSES
        return _FLOAT * (7.0 * self.weights * steps + 3.0 * activations * self.examples)


@dataclass(frozen=True)
class Machine:
    """What this machine does at best, on all of its cores."""

    operations_a_ms: float
    bytes_a_ms: float

    def least(self, work: Work) -> float:
        """Milliseconds that one run and epoch takes at least."""
        return max(work.operations / self.operations_a_ms, work.moved / self.bytes_a_ms)


def measured_machine() -> Machine:
    """The arithmetic of a large matrix product, and the bytes of a large copy."""
    import jax
    import jax.numpy as jnp

    square = jnp.ones((SIZE_OF_MACHINE, SIZE_OF_MACHINE), jnp.float32)
    product = jax.jit(lambda one: one @ one)
    source = np.ones(2**26, np.float32)
    target = np.empty_like(source)
    times = milliseconds(
        {
            "product": lambda: product(square).block_until_ready(),
            "copy": lambda: np.copyto(target, source),
        },
        rounds=10,
    )
    return Machine(
        operations_a_ms=2.0 * SIZE_OF_MACHINE**3 / times["product"].fastest,
        bytes_a_ms=2.0 * source.nbytes / times["copy"].fastest,
    )


def ours(work: Work, rounds: int) -> float:
    """Milliseconds of one run and epoch, without a test."""
    from deep_bottleneck.interfaces import Dataset, LabelledDataset
    from deep_bottleneck.models import feedforward
    from deep_bottleneck.training.batches import Batches
    from deep_bottleneck.training.lockstep.compiled import CompiledGroup

    generator = np.random.default_rng(0)
    examples = generator.standard_normal((work.examples, INPUTS)).astype(np.float32)
    labels = (examples.sum(axis=1) > 0).astype(int)
    train = LabelledDataset.from_labels(examples, labels, CLASSES)
    dataset = Dataset(
        train, LabelledDataset.from_labels(examples[:2], labels[:2], CLASSES), CLASSES
    )
    shape: tuple[Any, ...] = ([work.units] * work.layers, "tanh", "adam", 1e-4, INPUTS, CLASSES)
    models = [feedforward.load(*shape) for _ in range(work.runs)]
    group = CompiledGroup(
        models, range(work.runs), dataset, Batches(work.examples, BATCH_SIZE, None, seed=0)
    )
    epochs = iter(range(10**9))
    times = milliseconds({"ours": lambda: group.train_epoch(next(epochs))}, rounds)
    return times["ours"].fastest / work.runs


@styled
def picture(rows: list[tuple[str, int, float, float, float]]) -> Figure:
    """A panel for each thing that grows; logarithmic axes."""
    figure = Figure(figsize=(11, 6.4))
    panels = figure.subplots(2, 2, sharey=True).flat
    for growing, axes in zip(dict.fromkeys(row[0] for row in rows), panels, strict=False):
        of_panel = np.array([row[1:] for row in rows if row[0] == growing])
        sizes, times, arithmetic, moved = of_panel.T
        axes.plot(sizes, times, "o-", label="measured")
        axes.plot(sizes, arithmetic, "--", label="arithmetic at the speed of a matrix product")
        axes.plot(sizes, moved, ":", label="bytes at the speed of a copy")
        axes.set(xscale="log", yscale="log", xlabel=growing)
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes.astype(int)])
        axes.minorticks_off()
    figure.supylabel("milliseconds for a run and epoch")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


def main() -> None:
    """Print a row for each size, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, help="where to draw it")
    parser.add_argument("--rounds", type=int, default=5, help="epochs to choose the fastest of")
    parser.add_argument("--only", nargs="+", choices=GROWING, default=list(GROWING))
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"
    machine = measured_machine()
    print(
        f"matrix product: {machine.operations_a_ms / 1e6:.0f} billion operations a second, copy: "
        f"{machine.bytes_a_ms / 1e6:.1f} GB a second\n\n"
        f"{'':10}{'':>9}{'ms':>10}{'arithmetic':>12}{'bytes':>10}{'times the limit':>17}"
    )
    rows = []
    for growing in options.only:
        for size in GROWING[growing]:
            work = replace(Work(), **{growing: size})
            took = ours(work, options.rounds)
            arithmetic = work.operations / machine.operations_a_ms
            moved = work.moved / machine.bytes_a_ms
            rows.append((growing, size, took, arithmetic, moved))
            ratio = took / machine.least(work)
            print(
                f"{growing:10}{size:>9}{took:10.3f}{arithmetic:12.4f}{moved:10.4f}{ratio:17.1f}",
                flush=True,
            )
    if options.picture is not None:
        picture(rows).savefig(options.picture, dpi=DPI)


if __name__ == "__main__":
    main()
