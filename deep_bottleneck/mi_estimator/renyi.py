"""MI by matrix-based Rényi entropy: the eigenvalues of kernel matrices instead of a density.

How it fails: another quantity than Shannon's; with Silverman's width it is 10 bits for independent
vectors.
"""

import math
from typing import Literal

import numpy as np
import torch

from deep_bottleneck.errors import ConfigError, EstimationError
from deep_bottleneck.information.arrays import as_floats, as_layer
from deep_bottleneck.information.kernel import (
    Width,
    kernel_entropy,
    label_entropy,
    rule_of_thumb_width,
)
from deep_bottleneck.interfaces import (
    Activations,
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)

REFERENCES = ("giraldo2015", "yu2020")

Scaling = Literal["absolute", "silverman"]


def load(
    discretization_range: float = 1, alpha: float = 2.0, scaling: Scaling = "absolute"
) -> "RenyiEstimator":
    """An estimator with Gaussian kernels of width `discretization_range`.

    Args:
        discretization_range: the width of the kernels, their standard deviation.
        alpha: the order of the entropy.
        scaling: "absolute" for a width in the units of inputs and activations alike, "silverman"
            for Silverman's rule of thumb with the width as its factor.

    Raises:
        ConfigError: if the order is not positive.
    """
    if not 0 < alpha < math.inf:
        raise ConfigError(
            f'"estimator": mi_estimator.renyi got {alpha:g} as "alpha", the order of the entropy, '
            "which should be greater than 0"
        )
    return RenyiEstimator(discretization_range, alpha, scaling)


class RenyiEstimator(MutualInformationEstimator):
    """Information of kernel matrices, after Giraldo et al. (2015) and Yu et al. (2020).

    I(X;M) takes a kernel matrix of the inputs, I(Y;M) the matrix that is 1 within a class. The
    default order 2 needs no eigenvalues, which makes it hundreds of times cheaper than the
    literature's 1.01 with its cubic cost: at 4096 examples less than a second on a core against
    10 s for each layer and epoch.
    """

    fitted_to_inputs = True
    takes_tensors = True

    def __init__(
        self,
        width: float,
        alpha: float = 2.0,
        scaling: Scaling = "absolute",
        examples: FloatArray | None = None,
    ) -> None:
        """Choose the kernels.

        Args:
            width: the standard deviation of the kernels.
            alpha: the order of the entropy.
            scaling: "absolute" for a width in the units of inputs and activations alike;
                "silverman" for Silverman's rule of thumb with the width as its factor, for the
                inputs and for each layer, epoch and run anew (Wickstrøm et al. 2019). The latter
                hides a layer that contracts as a whole.
            examples: the inputs, shape (n_examples, input_size); without them I(X;M) is NaN.

        Raises:
            ValueError: if the scaling is unknown.
        """
        if scaling not in ("absolute", "silverman"):
            raise ValueError(f'the scaling must be "absolute" or "silverman", got {scaling!r}')
        self.width = width
        self.order = alpha
        self.scaling: Scaling = scaling
        self._examples = None if examples is None else as_floats(examples)[None]
        self._input_entropy: torch.Tensor | None = None

    @property
    def method(self) -> Method:
        """See `MutualInformationEstimator.method`."""
        rule = " x Silverman's rule" if self.scaling == "silverman" else ""
        return Method(
            "renyi", f"order {self.order:g}, kernel width {self.width:g}{rule}", geometric=True
        )

    def fitted(self, activations: Activations) -> "RenyiEstimator":
        """An estimator that knows the recording's inputs."""
        return RenyiEstimator(self.width, self.order, self.scaling, activations.examples)

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """See `MutualInformationEstimator.estimate`."""
        try:
            layer = as_layer(activations)
            width = self._width_for(layer)
            own = kernel_entropy([layer], [width], self.order)
            with_label = kernel_entropy([layer], [width], self.order, labels)
            of_label = label_entropy(labels, self.order).to(own.device)
            about_label = own + of_label - with_label
            about_input, reasons = self._about_input(layer, width, own)
        except ValueError as error:
            raise EstimationError(str(error)) from error
        return LayerInformation(
            about_input.cpu().numpy(),
            about_label.cpu().numpy(),
            ceiling=math.log2(len(labels)),
            reasons=reasons,
        )

    def _about_input(
        self, layer: torch.Tensor, width: Width, own: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[str, ...]]:
        if self._examples is None:
            reason = "I(X;M): the inputs are not known; call fitted() with a recording first"
            return torch.full_like(own, np.nan), (reason,)
        input_width = self._width_for(self._examples)
        if self._input_entropy is None:
            self._input_entropy = kernel_entropy([self._examples], [input_width], self.order)
        joint = kernel_entropy([self._examples, layer], [input_width, width], self.order)
        return self._input_entropy + own - joint, ()

    def _width_for(self, values: torch.Tensor) -> Width:
        if self.scaling == "absolute":
            return self.width
        return rule_of_thumb_width(values, self.width)
