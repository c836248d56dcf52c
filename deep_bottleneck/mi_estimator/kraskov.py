"""MI by distances to nearest neighbours: Kraskov et al. for the inputs, Ross for the label.

How it fails: too small where information is high or dimensions are many (3.15 of 3.68 bits in 5 + 5
dimensions); undefined where values repeat, as with binary inputs, dead and saturated units: it says
so.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch

from deep_bottleneck.errors import ConfigError, EstimationError
from deep_bottleneck.information.arrays import Array, as_floats, as_layer
from deep_bottleneck.information.neighbors import (
    Algorithm,
    check_continuous,
    ksg,
    ksg_ceiling,
    label_information,
    standardised,
)
from deep_bottleneck.interfaces import (
    Activations,
    Bits,
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)

REFERENCES = ("kraskov2004", "ross2014")

Distances = Literal["standardised", "raw"]

# Seeds of the jitter, which must not depend on each other.
_INPUTS, _LAYER = 0, 1


def load(
    discretization_range: float = 3,
    algorithm: Algorithm = 1,
    jitter: float = 0.0,
    distances: Distances = "standardised",
) -> "KraskovEstimator":
    """An estimator that looks at the k-th neighbour, with `discretization_range` as k.

    Args:
        discretization_range: k, the number of nearest neighbours, from 1.
        algorithm: of Kraskov et al., 1 or 2.
        jitter: the standard deviation of Gaussian noise that is added to inputs and activations,
            which gives discrete values a density.
        distances: "standardised" to measure each input and unit in its standard deviations, "raw"
            to take them as they are; the jitter is in the same units.

    Raises:
        ConfigError: if k is not a whole number from 1, or the jitter is negative.
    """
    if not 0 <= jitter < math.inf:
        raise ConfigError(
            f'"estimator": mi_estimator.kraskov got {jitter:g} as "jitter", the standard deviation '
            "of noise, which should be 0 or more"
        )
    if not float(discretization_range).is_integer() or discretization_range < 1:
        raise ConfigError(
            f'"discretization_range" is {discretization_range:g} but mi_estimator.kraskov takes it '
            "as k, the number of nearest neighbours, and needs a whole number from 1, such as 3"
        )
    return KraskovEstimator(int(discretization_range), algorithm, jitter, distances)


class KraskovEstimator(MutualInformationEstimator):
    """I(X;M) by Kraskov et al. (2004), I(Y;M) by Ross (2014).

    Both suppose continuous values. Where the inputs are discrete, as binary patterns are, I(X;M) is
    left NaN with the reason, and I(Y;M) still answered; where activations repeat, as those of
    saturated or dead units do, both are NaN. For a deterministic network with continuous inputs
    the true I(X;M) is infinite, and the estimate says how well the layer keeps apart what is near.

    Each input and each unit is standardised first, run by run, because which neighbour is the
    nearest must not depend on units of measurement: without it, inputs a thousand times as large
    leave 0.2 of 1.2 bits.
    """

    fitted_to_inputs = True
    takes_tensors = True

    def __init__(
        self,
        k: int,
        algorithm: Algorithm = 1,
        jitter: float = 0.0,
        distances: Distances = "standardised",
        examples: FloatArray | None = None,
    ) -> None:
        """Choose the neighbour.

        Args:
            k: which neighbour, from 1.
            algorithm: of Kraskov et al., 1 or 2.
            jitter: the standard deviation of Gaussian noise that is added to inputs and
                activations, to give discrete values a density. The result then depends on it:
                distances in a lattice are ordered by nothing but this noise. It is the same for
                every run.
            distances: "standardised" to measure each input and unit in its standard deviations,
                "raw" to take them as they are; the jitter is in the same units.
            examples: the inputs, shape (n_examples, input_size); without them I(X;M) is NaN.

        Raises:
            ValueError: if the distances are of an unknown kind.
        """
        if distances not in ("standardised", "raw"):
            raise ValueError(f'the distances must be "standardised" or "raw", got {distances!r}')
        self.k = k
        self.algorithm: Algorithm = algorithm
        self.jitter = jitter
        self.distances: Distances = distances
        self._examples = None if examples is None else self._points(examples, _INPUTS)[None]
        self._obstacle = self._inputs_obstacle()

    @property
    def method(self) -> Method:
        """See `MutualInformationEstimator.method`."""
        algorithm = f", algorithm {self.algorithm}" if self.algorithm != 1 else ""
        jitter = f", jitter {self.jitter:g}" if self.jitter else ""
        standardised = ", standardised" if self.distances == "standardised" else ""
        return Method("kraskov", f"k {self.k}{algorithm}{jitter}{standardised}", geometric=True)

    def fitted(self, activations: Activations) -> "KraskovEstimator":
        """An estimator that knows the recording's inputs."""
        examples = activations.examples
        return KraskovEstimator(self.k, self.algorithm, self.jitter, self.distances, examples)

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """See `MutualInformationEstimator.estimate`."""
        try:
            layer = self._points(as_layer(activations), _LAYER)
        except ValueError as error:
            raise EstimationError(str(error)) from error
        mi_xm, reasons_xm = _of_each_run(self._about_input, layer)
        mi_ym, reasons_ym = _of_each_run(
            lambda run: label_information(run, labels, self.k, name="the layer"), layer
        )
        reasons = (
            *(f"I(X;M): {reason}" for reason in reasons_xm),
            *(f"I(Y;M): {reason}" for reason in reasons_ym),
        )
        if np.isnan(mi_xm).all() and np.isnan(mi_ym).all():
            raise EstimationError("; ".join(reasons))
        return LayerInformation(
            mi_xm,
            mi_ym,
            ceiling=ksg_ceiling(len(labels), self.k, self.algorithm),
            reasons=reasons,
        )

    def _about_input(self, layer: torch.Tensor) -> torch.Tensor:
        if self._examples is None or self._obstacle:
            raise ValueError(self._obstacle)
        return ksg(self._examples, layer, self.k, self.algorithm, names=("the input", "the layer"))

    def _inputs_obstacle(self) -> str:
        """Why I(X;M) is undefined whatever the layer, or nothing."""
        if self._examples is None:
            return "the inputs are not known; call fitted() with a recording first"
        try:
            check_continuous(self._examples[0], self.k, "the input")
        except ValueError as error:
            return str(error)
        return ""

    def _points(self, values: Array, stream: int) -> torch.Tensor:
        exact = as_floats(values).to(torch.float64)
        points = standardised(exact) if self.distances == "standardised" else exact
        if not self.jitter:
            return points
        noise = np.random.default_rng(stream).standard_normal(tuple(points.shape[-2:]))
        return points + self.jitter * torch.from_numpy(noise).to(points.device)


def _of_each_run(
    measure: Callable[[torch.Tensor], torch.Tensor], layer: torch.Tensor
) -> tuple[Bits, tuple[str, ...]]:
    """A measure of each run, NaN where it is undefined, and the reasons why."""
    found = np.full(len(layer), np.nan)
    reasons = []
    for row in range(len(layer)):
        try:
            found[row] = measure(layer[row : row + 1]).item()
        except ValueError as error:
            reasons.append(str(error))
    return found, tuple(dict.fromkeys(reasons))
