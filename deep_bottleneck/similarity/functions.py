"""Each measure of similarity as one call."""

from typing import Any

import torch

from deep_bottleneck.information.arrays import Array
from deep_bottleneck.similarity.base import Measure
from deep_bottleneck.similarity.cca import PWCCA, SVCCA
from deep_bottleneck.similarity.cka import Kernel, KernelCKA, LinearCKA


def svcca(x: Array, y: Array, variance: float = 0.99) -> torch.Tensor:
    """The mean canonical correlation of the directions that explain most of the variance.

    Raghu et al. 2017, "SVCCA: singular vector canonical correlation analysis for deep learning
    dynamics and interpretability", section 2.1.

    Args:
        x: shape (..., n_examples, n_units).
        y: shape (..., n_examples, n_other_units), of the same examples in the same order.
        variance: the share of the variance of each to keep.

    Returns:
        From 0 to 1: float64, of the broadcast shape of the leading axes; NaN where a representation
        is the same for all examples, or has values that are NaN or infinite.

    Raises:
        ValueError: if the representations are not of the same examples, or the share is not in
            (0, 1].
    """
    return SVCCA(variance)(x, y)


def pwcca(x: Array, y: Array, variance: float = 1.0) -> torch.Tensor:
    """The canonical correlations, weighted by how much of `x` each explains; not symmetric.

    Morcos, Raghu & Bengio 2018, "Insights on representational similarity in neural networks with
    canonical correlation", section 2.1.

    Args:
        x: as for `svcca`.
        y: as for `svcca`.
        variance: as for `svcca`.

    Returns:
        As for `svcca`.

    Raises:
        ValueError: as for `svcca`.
    """
    return PWCCA(variance)(x, y)


def cka(
    x: Array,
    y: Array,
    kernel: Kernel = "linear",
    bandwidth: float = 1.0,
    batch_size: int | None = None,
) -> torch.Tensor:
    """Centred kernel alignment.

    Kornblith et al. 2019, "Similarity of neural network representations revisited", eq. 4; with
    minibatches Nguyen, Raghu & Kornblith 2021, "Do wide and deep networks learn the same things?",
    eq. 2, whose estimate of independent representations is around 0, below it too.

    Args:
        x: as for `svcca`.
        y: as for `svcca`.
        kernel: "linear", or "rbf" for Gaussians of the distance of two examples.
        bandwidth: the standard deviation of these Gaussians as a multiple of the median distance.
        batch_size: examples in a minibatch; None for all at once, which takes memory with the
            square of their number for "rbf", and is biased upwards where examples are few.

    Returns:
        As for `svcca`.

    Raises:
        ValueError: if the representations are not of the same examples, or an option is not one of
            those above.
    """
    measure: Measure[Any] = (
        LinearCKA()
        if kernel == "linear" and batch_size is None
        else KernelCKA(kernel, bandwidth, batch_size)
    )
    return measure(x, y)
