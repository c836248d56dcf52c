"""From the efficiency of layers to that of the network, and to aIQ."""

import logging
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.information.arrays import Array, as_tensor
from deep_bottleneck.information.discrete import Counts
from deep_bottleneck.information.renyi import renyi_entropy
from deep_bottleneck.state_space.capture import AbstractStateCapture

logger = logging.getLogger(__name__)


def entropy(counts: Array | Iterable[int], alpha: float = 1) -> float:
    """The Rényi entropy of a list of counts, log2(sum p^alpha) / (1 - alpha).

    Args:
        counts: how often each state was observed; zeros do not matter.
        alpha: the order: 1 (the limit) Shannon, 0 Hartley, `math.inf` min-entropy.

    Returns:
        The entropy in bits.

    Raises:
        ValueError: if alpha is negative, a count is, or all counts are zero.
    """
    known = counts if isinstance(counts, torch.Tensor | np.ndarray) else list(counts)
    occurrences = as_tensor(np.asarray(known) if isinstance(known, list) else known).flatten()
    if occurrences.is_floating_point() and not torch.equal(occurrences, occurrences.round()):
        raise ValueError("counts must be whole numbers; these look like frequencies")
    if bool((occurrences < 0).any()) or not bool((occurrences > 0).any()):
        raise ValueError("counts must not be negative, and at least one must be above zero")
    observed = occurrences[occurrences > 0].to(torch.int64)
    n_distinct = torch.tensor([len(observed)], device=observed.device)
    return renyi_entropy(Counts(observed, n_distinct, int(observed.sum())), alpha).item()


def network_efficiency(efficiencies: Any) -> float:
    """The efficiency of a network: the geometric mean over its layers.

    Schaub and Hotaling, "Assessing Intelligence in Artificial Neural Networks", 2020,
    arXiv:2006.02909.

    Args:
        efficiencies: the efficiency of each layer, or a model that `build_efficiency_model`
            returned and that has seen inputs; layers that no input passed through are left out,
            and the log names them.

    Raises:
        ValueError: if there are none, or one is negative or NaN.
        EstimationError: if all layers of the model captured nothing, or one NaN.
    """
    if hasattr(efficiencies, "efficiency_layers"):
        layers = _called(efficiencies.efficiency_layers)
        efficiencies = [layer.efficiency() for layer in layers]
    values = np.asarray([float(value) for value in efficiencies])
    if len(values) == 0:
        raise ValueError("the efficiency of a network needs that of at least one layer")
    if not (values >= 0).all():
        raise ValueError(f"efficiencies must be 0 or above, got {values.tolist()}")
    return float(np.exp(np.log(values).mean())) if values.all() else 0.0


def aIQ(net_efficiency: float, accuracy: float, weight: float) -> float:  # noqa: N802
    """The artificial intelligence quotient, (accuracy^weight * efficiency)^(1 / (weight + 1)).

    A balance of how well a network does and how well it uses its neurons.
    Schaub and Hotaling, "Assessing Intelligence in Artificial Neural Networks", 2020,
    arXiv:2006.02909.

    Args:
        net_efficiency: the efficiency of the network, from 0 to 1.
        accuracy: its accuracy, from 0 to 1.
        weight: how much more the accuracy counts (beta), above 0.

    Raises:
        ValueError: if the weight is not a number above 0, or the efficiency or the accuracy is
            negative or NaN.
    """
    if not (weight > 0 and math.isfinite(weight)):
        raise ValueError(f"the weight of the accuracy in aIQ must be above 0, got {weight}")
    for name, value in (("net_efficiency", net_efficiency), ("accuracy", accuracy)):
        if not value >= 0:
            raise ValueError(f"{name} must be a number from 0 to 1, got {value}")
    return float((float(accuracy) ** weight * float(net_efficiency)) ** (1.0 / (weight + 1.0)))


def _called(layers: Sequence[AbstractStateCapture]) -> list[AbstractStateCapture]:
    """The captures that saw something; those that did not are named in the log."""
    called = [layer for layer in layers if layer.state_count]
    left_out = ", ".join(layer.name for layer in layers if not layer.state_count)
    if left_out and not called:
        raise EstimationError(
            f"no layer has captured states yet, of {left_out}: run inputs through the network first"
        )
    if left_out:
        logger.warning(
            "the efficiency of the network leaves out layers that no input passed through: %s",
            left_out,
        )
    return called
