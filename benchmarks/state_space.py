"""What does it cost to capture all states of LeNet-5, and to compute its efficiency?

    python benchmarks/state_space.py [--images 10000] [--batch 200] [--repeats 5]

In one process: the bare forward pass of the untrained network; the same with captures attached,
plus the efficiency of all layers; and the plain NumPy way, which packs with `packbits`, keeps every
state and counts with `unique`. Prints what either adds to the forward pass, the ratio, and by how
much each raised the peak memory of the process.
"""

import argparse
import resource
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

import deep_bottleneck.state_space as ts

CONVOLUTIONS = ("conv_1", "conv_2", "conv_3")


def lenet5() -> nn.Sequential:
    """LeNet-5 as in TensorState's tutorial: 20, 50 and 100 kernels, ELU, batch norm."""
    return nn.Sequential(
        OrderedDict(
            conv_1=nn.Conv2d(1, 20, 5),
            elu_1=nn.ELU(),
            norm_1=nn.BatchNorm2d(20),
            maxp_1=nn.MaxPool2d(2),
            conv_2=nn.Conv2d(20, 50, 5),
            elu_2=nn.ELU(),
            norm_2=nn.BatchNorm2d(50),
            maxp_2=nn.MaxPool2d(2),
            conv_3=nn.Conv2d(50, 100, 4),
            elu_3=nn.ELU(),
            norm_3=nn.BatchNorm2d(100),
            flatten=nn.Flatten(),
            pred=nn.Linear(100, 10),
        )
    )


class NumpyCapture:
    """The obvious way: pack, keep everything, count at the end."""

    def __init__(self) -> None:
        self._packed: list[np.ndarray] = []
        self._n_neurons = 0

    def __call__(self, _module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        """Pack and keep the states of a batch."""
        firing = output.movedim(1, -1).numpy() > 0
        self._n_neurons = firing.shape[-1]
        self._packed.append(np.packbits(firing.reshape(-1, self._n_neurons), axis=1))

    def efficiency(self) -> float:
        """The entropy of all states, divided by the number of neurons."""
        _, counts = np.unique(np.concatenate(self._packed), axis=0, return_counts=True)
        frequencies = counts / counts.sum()
        return float(-(frequencies * np.log2(frequencies)).sum() / self._n_neurons)

    def reset_states(self) -> None:
        """Forget all states."""
        self._packed = []


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--numpy-repeats", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    batches = torch.split(torch.rand(arguments.images, 1, 28, 28), arguments.batch)
    model = lenet5().eval()

    def forward() -> None:
        with torch.no_grad():
            for batch in batches:
                model(batch)

    forward()

    def attach_ours() -> tuple[list[Any], list[Any]]:
        probed = ts.build_efficiency_model(model, attach_to=CONVOLUTIONS)
        return list(probed.efficiency_layers), list(probed.state_capture_hooks)

    def attach_plain() -> tuple[list[Any], list[Any]]:
        captures = [NumpyCapture() for _ in CONVOLUTIONS]
        layers = map(model.get_submodule, CONVOLUTIONS)
        return captures, [
            layer.register_forward_hook(capture)
            for layer, capture in zip(layers, captures, strict=True)
        ]

    print(f"{arguments.images} images, batches of {arguments.batch}, fastest of the repeats")
    ours, captures = _measure("deep_bottleneck", forward, attach_ours, arguments.repeats)
    observed = ", ".join(f"{each.state_count} ({len(each.counts())} distinct)" for each in captures)
    print(f"  states: {observed}")
    theirs, plain = _measure(
        "numpy packbits and unique", forward, attach_plain, arguments.numpy_repeats
    )
    print(f"ratio of what they add: {theirs / ours:.1f}")
    _check_agreement(captures, plain)


def _measure(
    name: str,
    forward: Callable[[], None],
    attach: Callable[[], tuple[list[Any], list[Any]]],
    repeats: int,
) -> tuple[float, list[Any]]:
    """Print and return what captures add to the forward pass, in seconds; the two take turns.

    Args:
        name: of the kind of captures.
        forward: the forward pass.
        attach: attaches captures, and returns them and what removes their hooks.
        repeats: how often to measure.

    Returns:
        The seconds, and the captures of the last repeat.
    """
    bare, captured, analysis = [], [], []
    captures: list[Any] = []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(repeats):
        bare.append(_seconds(forward))
        captures, handles = attach()
        captured.append(_seconds(forward))
        analysis.append(_seconds(lambda: [capture.efficiency() for capture in captures]))  # noqa: B023
        for handle in handles:
            handle.remove()
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
    added = min(captured) - min(bare) + min(analysis)
    print(
        f"{name}: forward {min(bare):.3f} s, with capture {min(captured):.3f} s, efficiency "
        f"{min(analysis):.3f} s: adds {added:.3f} s; raises the peak memory by {megabytes:.0f} MB"
    )
    return added, captures


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _check_agreement(captures: Any, plain: list[NumpyCapture]) -> None:
    for ours, theirs in zip(captures, plain, strict=True):
        difference = abs(ours.efficiency() - theirs.efficiency())
        if difference > 1e-9:
            raise SystemExit(f"{ours.name}: the efficiencies differ by {difference}")


if __name__ == "__main__":
    main()
