"""What a GPU brings: training of many runs, and measuring, with the share of its peak they reach.

Peaks are what this device reaches here, with a large matrix product and a large copy. The CPU has
the same code path, so that functions can be tried there with small sizes.

python -m benchmarks.gpu
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import torch

from benchmarks.effective_information import UNIT
from benchmarks.training import BATCH_SIZE, classic, fastest, model_fit
from deep_bottleneck import causal
from deep_bottleneck.datasets import harmonics
from deep_bottleneck.information.mixture import LOWER, UPPER, pairwise_bounds
from deep_bottleneck.information.neighbors import ksg
from deep_bottleneck.interfaces import Dataset
from deep_bottleneck.machine import device
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.lockstep.compiled import CompiledGroup

N_UNITS = 10
VARIANCE = 0.01
# Bytes of a tile that each pair of examples moves for both bounds: the exponent is written and read
# in float64; each kernel is written once, changed in place twice, and read for two sums in float32.
BYTES_A_PAIR = 8 + 8 + 2 * (4 + 4 * 4 + 2 * 4)


class Peak(NamedTuple):
    """What a device reaches: float64 operations and bytes, each in a second."""

    operations: float
    bytes: float


def seconds(work: Callable[[], object], where: torch.device, repeats: int) -> float:
    """Of the fastest call, from its launch to its end on the device."""
    work()
    times = []
    for _ in range(repeats):
        _wait(where)
        start = time.perf_counter()
        work()
        _wait(where)
        times.append(time.perf_counter() - start)
    return min(times)


def peak(where: torch.device, size: int = 8192, repeats: int = 5) -> Peak:
    """Of a product of float64 matrices and of a copy, both with so many rows and columns."""
    matrix = torch.rand(size, size, dtype=torch.float64, device=where)
    out = torch.empty_like(matrix)
    product = seconds(lambda: torch.mm(matrix, matrix, out=out), where, repeats)
    copy = seconds(lambda: out.copy_(matrix), where, repeats)
    return Peak(2 * size**3 / product, 2 * matrix.nbytes / copy)


def epoch(where: torch.device, dataset: Dataset, n_runs: int, repeats: int) -> float:
    """Milliseconds of an epoch of all runs together; its numbers are fetched, so it has ended."""
    networks, _, _ = classic(n_runs)
    batches = Batches(len(dataset.train), BATCH_SIZE, None, seed=0)
    with device.chosen(where):
        group = CompiledGroup(networks, range(n_runs), dataset, batches, where)
        numbers = iter(range(repeats + 1))
        return 1e3 * seconds(lambda: group.train_epoch(next(numbers)), where, repeats)


def drawing(dataset: Dataset, n_runs: int, repeats: int) -> float:
    """Milliseconds in which the host draws an epoch's order of examples, while the device works."""
    batches = Batches(len(dataset.train), BATCH_SIZE, None, seed=0)
    return 1e3 * seconds(lambda: batches.orders(range(n_runs), 0), torch.device("cpu"), repeats)


def bounds(where: torch.device, n_examples: int, n_runs: int, repeats: int) -> float:
    """Seconds of both pairwise bounds of a layer at an epoch, for all runs."""
    activations, labels = _layer(where, n_examples, n_runs)
    return seconds(
        lambda: pairwise_bounds(activations, labels, VARIANCE, [UPPER, LOWER]), where, repeats
    )


def neighbours(where: torch.device, n_examples: int, n_runs: int, repeats: int) -> float:
    """Seconds of I(X;M) by nearest neighbours of a layer at an epoch, for all runs."""
    activations, _ = _layer(where, n_examples, n_runs)
    inputs = torch.randn(1, n_examples, N_UNITS, dtype=torch.float64, device=where)
    return seconds(lambda: ksg(inputs, activations), where, repeats)


def effective_information(where: torch.device, n_units: int, samples: int, repeats: int) -> float:
    """Seconds of EI_parts of a linear layer with 8 bins."""
    layer = torch.nn.Linear(n_units, n_units, bias=False, device=where)
    topology = causal.topology_of(layer, torch.zeros((1, n_units), device=where))
    options = {**UNIT, "in_bins": 8, "out_bins": 8, "samples": samples, "device": where}
    return seconds(
        lambda: causal.ei_parts(layer, topology, **options),
        where,
        repeats,
    )


def print_training(where: torch.device, n_runs: Sequence[int], repeats: int) -> None:
    """A row for each number of runs, against `model.fit`."""
    dataset = harmonics.load()
    with device.chosen(where):
        alone = fastest({"fit": model_fit(*classic(1))}, repeats)["fit"]
    print(f"model.fit, 1 run: {alone:.2f} ms an epoch")
    print(f"{'runs':>6}{'together':>15}{'orders':>15}{'over fit':>15}")
    for number in n_runs:
        together = epoch(where, dataset, number, repeats)
        orders = drawing(dataset, number, repeats)
        print(f"{number:6d}{together:12.2f} ms{orders:12.2f} ms{alone * number / together:14.0f}x")


def print_measuring(where: torch.device, sizes: Sequence[int], n_runs: int, repeats: int) -> None:
    """A row for each number of examples and estimator, with shares of the peaks."""
    reached = peak(where)
    print(f"peak: {reached.operations / 1e12:.2f} TFLOP/s float64, {reached.bytes / 1e9:.0f} GB/s")
    print(f"a layer of {N_UNITS} units at an epoch, {n_runs} runs")
    for n_examples in sizes:
        pairs = n_runs * n_examples**2
        both = bounds(where, n_examples, n_runs, repeats)
        # half of the pairs, since distances are symmetric
        arithmetic = pairs / 2 * 2 * (N_UNITS + 2) / both / reached.operations
        traffic = pairs / 2 * BYTES_A_PAIR / both / reached.bytes
        print(
            f"both bounds, N = {n_examples}: {1e3 * both:.1f} ms, {arithmetic:.1%} of the peak "
            f"arithmetic, {traffic:.1%} of the bandwidth"
        )
        nearest = neighbours(where, n_examples, n_runs, repeats)
        # a difference and a comparison in each dimension, of both spaces together and of each alone
        arithmetic = pairs * 2 * (4 * N_UNITS) / nearest / reached.operations
        # distances of three spaces are written and read
        traffic = pairs * 3 * 16 / nearest / reached.bytes
        print(
            f"KSG, N = {n_examples}: {1e3 * nearest:.1f} ms, {arithmetic:.1%} of the peak "
            f"arithmetic, {traffic:.1%} of the bandwidth"
        )
    wide = effective_information(where, 1000, 10_000, repeats)
    print(f"EI_parts of Linear(1000, 1000), 10,000 samples: {wide:.2f} s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all tables; end in one line where there is no GPU."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", default="cuda", help="such as cuda:1")
    options.add_argument("--runs", type=int, nargs="+", default=[1, 10, 100, 1000])
    options.add_argument("--examples", type=int, nargs="+", default=[4096, 16384])
    options.add_argument("--layer-runs", type=int, default=10, help="runs that are measured")
    options.add_argument("--repeats", type=int, default=5, help="calls to choose the fastest of")
    chosen = options.parse_args(arguments)
    if not torch.cuda.is_available():
        sys.exit(
            f"benchmarks.gpu needs a CUDA device, and PyTorch {torch.__version__} sees none here"
        )
    where = device.choose(chosen.device, "jax")
    print(", ".join(f"{name} {value}" for name, value in device.description(where).items()))
    print_training(where, chosen.runs, chosen.repeats)
    print_measuring(where, chosen.examples, chosen.layer_runs, chosen.repeats)


def _layer(where: torch.device, n_examples: int, n_runs: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(n_runs, n_examples, N_UNITS, generator=generator)
    labels = (raw[0].sum(dim=1) > 0).to(torch.int64)
    return raw.tanh().to(where), labels.to(where)


def _wait(where: torch.device) -> None:
    if where.type == "cuda":
        torch.cuda.synchronize(where)


if __name__ == "__main__":
    main()
