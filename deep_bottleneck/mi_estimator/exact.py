"""Exact MI of a network with quantised activations (`quantize_bits`), whose states are discrete.

Lorenzen, Igel and Nielsen, "Information bottleneck: exact analysis of (quantized) neural networks",
ICLR 2022.

How it fails: of a sample of the data it is a plug-in estimate, and too large (*quantised layer* at
1000 of 4096 inputs).
"""

import torch

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import (
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)
from deep_bottleneck.mi_estimator.discretized import information_of_states

REFERENCES = ("lorenzen2022",)


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
        return information_of_states(activations, labels, self._states)

    def _states(self, values: torch.Tensor) -> torch.Tensor:
        if not bool(torch.isfinite(values).all()):
            raise ValueError("activations that are NaN or infinite have no state")
        levels, states = torch.unique(values, return_inverse=True)
        if len(levels) > 2**self.bits:
            n_levels = max(len(torch.unique(run)) for run in states)
            if n_levels > 2**self.bits:
                raise ValueError(
                    f"the activations take {n_levels} values, more than the {2**self.bits} of "
                    f"{self.bits} bits: the layer is not quantised"
                )
        return states
