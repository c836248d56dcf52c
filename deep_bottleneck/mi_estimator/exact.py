"""Exact MI of a network with quantised activations (`quantize_bits`), whose states are discrete.

Lorenzen, Igel and Nielsen, "Information bottleneck: exact analysis of (quantized) neural networks",
ICLR 2022.

How it fails: of a sample of the data it is a plug-in estimate, and too large (*quantised layer* at
1000 of 4096 inputs).
"""

import math

import torch

from deep_bottleneck.errors import ConfigError, EstimationError
from deep_bottleneck.information.arrays import as_tensor
from deep_bottleneck.information.discrete import mutual_information, row_keys
from deep_bottleneck.interfaces import (
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)
from deep_bottleneck.machine.threads import threads_for


def load(quantize_bits: int | None) -> "ExactEstimator":
    """An estimator for activations of so many bits.

    Raises:
        ConfigError: if the activations are not quantised.
    """
    if quantize_bits is None:
        raise ConfigError(
            '"estimator": mi_estimator.exact needs quantised activations; set "quantize_bits", '
            "to 6 for example"
        )
    return ExactEstimator(quantize_bits)


class ExactEstimator(MutualInformationEstimator):
    """I(X;M) = H(M) and I(Y;M) of discrete states, counted over all examples.

    It is no estimate but the information itself for an input that is drawn uniformly from the
    examples, so over a full data set ("full") it is that of the network.
    """

    takes_tensors = True

    def __init__(self, bits: int) -> None:
        self.bits = bits

    @property
    def method(self) -> Method:
        """See `MutualInformationEstimator.method`."""
        return Method("exact", f"{self.bits} bit activations", "exact")

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """See `MutualInformationEstimator.estimate`."""
        values = as_tensor(activations)
        if not bool(torch.isfinite(values).all()):
            raise EstimationError("activations that are NaN or infinite have no state")
        levels, states = torch.unique(values, return_inverse=True)
        if len(levels) > 2**self.bits:
            raise EstimationError(
                f"the activations take {len(levels)} values, more than the {2**self.bits} of "
                f"{self.bits} bits: the layer is not quantised"
            )
        with threads_for(values.numel()):
            entropy, about_label = mutual_information(row_keys(states), labels)
        return LayerInformation(
            entropy.cpu().numpy(), about_label.cpu().numpy(), ceiling=math.log2(len(labels))
        )
