"""What a step of a watch costs, against a forward pass and the estimator by hand.

By hand are hooks on the same layers, which keep what they give, and the same estimator on that. The
networks are a small convolutional one and a small vision transformer on digits, and, where
transformers is installed (requirements/integrations.txt), one of GPT-2's size with random weights.
The two take turns in one process, and give the same values. Time is that of the processor, which
other work on the machine hardly changes.

python -m benchmarks.watch
"""

import argparse
import gc
import importlib.util
import logging
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from deep_bottleneck import watch
from deep_bottleneck.datasets import digits
from deep_bottleneck.interfaces import IntArray
from deep_bottleneck.mi_estimator import binning
from deep_bottleneck.watching.watched import Watch

WIDTH = 0.5
MIB = 2**20
Inputs = torch.Tensor | dict[str, torch.Tensor]


@dataclass(frozen=True)
class Case:
    """A network, and what it is watched on.

    Attributes:
        title: what the table calls it.
        model: the network.
        inputs: a tensor, or tensors by keyword, each with the examples first.
        labels: the class of each example.
        batch_size: how many of them it gets at a time.
    """

    title: str
    model: nn.Module
    inputs: Inputs
    labels: IntArray
    batch_size: int = 256

    def forward(self) -> None:
        """Run the network on all examples."""
        for start in range(0, len(self.labels), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            if isinstance(self.inputs, Mapping):
                self.model(**{name: tensor[chosen] for name, tensor in self.inputs.items()})
            else:
                self.model(self.inputs[chosen])


class Cost(NamedTuple):
    """Seconds of the processor for a step, and for its parts by hand; medians over turns.

    Attributes:
        forward: of the forward pass with hooks that keep what layers give.
        estimates: of the estimator on that.
        step: of a step.
        checked: of a step that measures what a trust report needs besides, the fastest.
        ratio: of a step to forward pass and estimator.
    """

    forward: float
    estimates: float
    step: float
    checked: float
    ratio: float


class VisionTransformer(nn.Module):
    """Patches of 2x2 pixels, a class token, four blocks, and a readout of that token."""

    def __init__(self, width: int = 64, n_patches: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, 2)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, n_patches + 1, width))
        block = nn.TransformerEncoderLayer(
            width, 4, 4 * width, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, 4, enable_nested_tensor=False)
        self.readout = nn.Linear(width, digits.N_CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The logits of images of shape (n, 1, 8, 8)."""
        patches = self.patches(images).flatten(2).movedim(2, 1)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), patches], dim=1)
        return self.readout(self.blocks(tokens + self.places)[:, 0])


def cases(n_sequences: int, length: int) -> Iterator[Case]:
    """The networks; sequences are for the one of GPT-2's size, so many of such a length."""
    part = digits.load().train
    images = torch.from_numpy(part.examples).movedim(-1, 1).contiguous()
    convolutional = nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, digits.N_CLASSES),
    )
    yield Case("CNN", convolutional, images, part.labels)
    yield Case("ViT", VisionTransformer(), images, part.labels)
    if importlib.util.find_spec("transformers") is None:
        print("transformers is not installed: no network of GPT-2's size")
        return
    from transformers import GPT2Config, GPT2LMHeadModel

    tokens = torch.randint(GPT2Config().vocab_size, (n_sequences, length))
    model = GPT2LMHeadModel(GPT2Config(use_cache=False))
    yield Case("GPT-2", model, {"input_ids": tokens}, (tokens[:, 0] % 2).numpy())


@torch.no_grad()
def captured(case: Case, layers: Mapping[str, int], representation: str) -> list[torch.Tensor]:
    """What layers give, by hooks: shape (n_examples, n_units) each.

    Args:
        case: the network, and its examples.
        layers: by name the axis of their outputs that counts the neurons.
        representation: "flatten", or "mean" over positions.
    """
    found: dict[str, list[torch.Tensor]] = {name: [] for name in layers}

    def keep(name: str, axis: int) -> Callable[[nn.Module, Any, Any], None]:
        def kept(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if representation == "mean" and tensor.ndim > 2:
                tensor = tensor.movedim(axis, -1).flatten(1, -2).mean(1)
            found[name].append(tensor.flatten(1))

        return kept

    handles = [
        case.model.get_submodule(name).register_forward_hook(keep(name, axis))
        for name, axis in layers.items()
    ]
    case.forward()
    for handle in handles:
        handle.remove()
    return [torch.cat(found.pop(name)) for name in layers]


def estimated(layers: list[torch.Tensor], labels: IntArray) -> list[float]:
    """I(X;M) of each layer by the estimator, in bits."""
    estimator = binning.load(WIDTH)
    return [float(estimator.estimate(layer[None], labels).mi_xm[0]) for layer in layers]  # type: ignore[arg-type]


def compared(case: Case, watched: Watch, representation: str, repeats: int) -> Cost:
    """Steps of a watch and the same by hand in turns.

    Raises:
        SystemExit: if they give different values.
    """
    layers = dict(zip(watched.layers["name"], watched.layers["neuron_axis"], strict=True))
    checked: list[float] = []
    turns: list[tuple[float, float, float]] = []
    while len(turns) < repeats:
        number = len(checked) + len(turns)
        if number & (number + 1) == 0:
            checked.append(_seconds(watched.step))
            continue
        kept: list[torch.Tensor] = []
        by_hand: list[float] = []
        forward = _seconds(lambda: kept.extend(captured(case, layers, representation)))  # noqa: B023
        estimates = _seconds(lambda: by_hand.extend(estimated(kept, case.labels)))  # noqa: B023
        kept.clear()
        turns.append((forward, estimates, _seconds(watched.step)))
        found = watched.table["MI_XM"].tail(len(layers)).tolist()
        if found != by_hand:
            raise SystemExit(f"{case.title}: a step gives {found}, by hand it is {by_hand}")
    forward, estimates, step = (statistics.median(times) for times in zip(*turns, strict=True))
    ratio = statistics.median(step / (forward + estimates) for forward, estimates, step in turns)
    return Cost(forward, estimates, step, min(checked), ratio)


def peak(work: Callable[[], object]) -> int:
    """How many bytes the process has at most beyond what it had before, as Linux tells."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _bytes("VmRSS")
    work()
    return _bytes("VmHWM") - before


def report(case: Case, representation: str, repeats: int) -> None:
    """Print a row of the table."""
    case.model.eval()
    watched = watch(
        case.model,
        (case.inputs, case.labels),
        estimators=f"binning={WIDTH}",
        representation=representation,
        batch_size=case.batch_size,
    )
    cost = compared(case, watched, representation, repeats)
    with torch.no_grad():
        forward = peak(case.forward)
    step = peak(watched.step)
    sizes = 4 * len(case.labels) * watched.layers["n_units"]
    shares = (cost.forward, cost.estimates, cost.step - cost.forward - cost.estimates)
    print(
        f"{case.title:6}{representation:>8}{1e3 * cost.step:9.1f} ms"
        + "".join(f"{part / cost.step:9.0%}" for part in shares)
        + f"{cost.ratio:8.2f}{1e3 * cost.checked:9.1f} ms"
        + "".join(f"{size / MIB:9.0f}" for size in (forward, step, sizes.max(), sizes.sum())),
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeats", type=int, default=7, help="turns, of which to take medians")
    options.add_argument("--sequences", type=int, default=32, help="for the network like GPT-2")
    options.add_argument("--length", type=int, default=16, help="of these, in tokens")
    options.add_argument("--threads", type=int, default=1, help="threads for torch")
    options.add_argument("--only", help="one network, such as CNN")
    chosen = options.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    print(f"{torch.get_num_threads()} threads; the last four columns are MiB")
    print(
        f"{'':14}{'step':>12}{'forward':>9}{'estimate':>9}{'rest':>9}{'ratio':>8}{'checked':>12}"
        f"{'forward':>9}{'step':>9}{'a layer':>9}{'layers':>9}"
    )
    for case in cases(chosen.sequences, chosen.length):
        if chosen.only in (None, case.title):
            for representation in ("flatten", "mean"):
                report(case, representation, chosen.repeats)


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _bytes(name: str) -> int:
    """Of the process's memory."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if name in line)
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    # of layers at their ceiling, between the rows of the table
    logging.disable(logging.WARNING)
    main()
