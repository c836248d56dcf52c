"""Similarity by centred kernel alignment, CKA.

Kornblith et al. 2019, "Similarity of neural network representations revisited": with K and L the
similarities of all examples to each other in two representations,
CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) (eq. 4). Symmetric, and the same after an orthogonal
transformation or a uniform scaling of the units of either representation.
"""

import math
from typing import Literal, NamedTuple

import torch

from deep_bottleneck.similarity.base import Measure

Kernel = Literal["linear", "rbf"]


class Features(NamedTuple):
    """A centred representation, and its HSIC with itself.

    Attributes:
        values: shape (..., n_examples, n_units).
        hsic: shape (...).
    """

    values: torch.Tensor
    hsic: torch.Tensor


class Grams(NamedTuple):
    """Similarities of examples to each other, batch by batch, and their HSIC with themselves.

    Attributes:
        values: shape (..., n_batches, batch_size, batch_size).
        hsic: shape (...).
    """

    values: torch.Tensor
    hsic: torch.Tensor


class LinearCKA(Measure[Features]):
    """CKA with inner products as similarities.

    norm(Y^T X)^2 / (norm(X^T X) norm(Y^T Y)) with Frobenius norms (Kornblith et al. 2019, section
    3). Works on units or on examples, whichever are fewer.
    """

    name = "CKA"

    def prepare(self, x: torch.Tensor) -> Features:
        """The norm of the covariance."""
        return Features(x, _squared_product_norm(x, x))

    def between(self, x: Features, y: Features) -> torch.Tensor:
        """The alignment."""
        return _alignment(_squared_product_norm(x.values, y.values), x.hsic, y.hsic)


class KernelCKA(Measure[Grams]):
    """CKA with a kernel, of all examples at once or averaged over minibatches.

    With minibatches HSIC is estimated without bias in each (Song et al. 2012, "Feature selection
    via dependence maximization", eq. 5) and averaged over them before the division (Nguyen, Raghu
    & Kornblith 2021, "Do wide and deep networks learn the same things?", eq. 2 and 3), so that
    memory is linear in the number of examples and independent representations have CKA around 0,
    below it too.
    """

    def __init__(
        self, kernel: Kernel = "rbf", bandwidth: float = 1.0, batch_size: int | None = None
    ) -> None:
        """Store the kernel.

        Args:
            kernel: "linear" for inner products, "rbf" for exp(-d^2 / (2 sigma^2)) of the distance d
                of two examples.
            bandwidth: sigma as a multiple of the median distance.
            batch_size: examples in a minibatch, at least 4; None for all at once, without a
                correction for bias.

        Raises:
            ValueError: if the kernel is unknown, the bandwidth not above 0 or the batch too small.
        """
        if kernel not in ("linear", "rbf"):
            raise ValueError(f'the kernel must be "linear" or "rbf", got {kernel!r}')
        if not (bandwidth > 0 and math.isfinite(bandwidth)):
            raise ValueError(f"the bandwidth must be a number above 0, got {bandwidth}")
        if batch_size is not None and batch_size < 4:
            raise ValueError(f"a minibatch must have at least 4 examples, got {batch_size}")
        self.kernel = kernel
        self.bandwidth = bandwidth
        self.batch_size = batch_size
        self.name = "RBF CKA" if kernel == "rbf" else "CKA"
        self.least_examples = 2 if batch_size is None else 4

    def prepare(self, x: torch.Tensor) -> Grams:
        """The similarities within each minibatch."""
        batches = x.unsqueeze(-3) if self.batch_size is None else _split(x, self.batch_size)
        grams = self._similarities(batches)
        # zeros stand for a representation without any differences, whatever the kernel
        differs = (x != 0).any(dim=-1).any(dim=-1)
        grams = torch.where(differs[..., None, None, None], grams, 0.0)
        if self.batch_size is None:
            rows = grams.mean(dim=-1, keepdim=True)
            values = grams - rows - rows.mT + rows.mean(dim=-2, keepdim=True)
        else:
            values = grams - torch.diag_embed(grams.diagonal(dim1=-2, dim2=-1))
        return Grams(values, self._hsic(values, values))

    def between(self, x: Grams, y: Grams) -> torch.Tensor:
        """The alignment."""
        return _alignment(self._hsic(x.values, y.values), x.hsic, y.hsic)

    def _similarities(self, batches: torch.Tensor) -> torch.Tensor:
        if self.kernel == "linear":
            return batches @ batches.mT
        distances = torch.cdist(batches, batches, compute_mode="donot_use_mm_for_euclid_dist")
        size = distances.shape[-1]
        above = torch.triu_indices(size, size, 1, device=distances.device)
        pairs = distances[..., above[0], above[1]].flatten(-2)
        sigma = (self.bandwidth * pairs.median(dim=-1).values)[..., None, None, None]
        # more than half of the distances may be 0: then only equal examples are similar
        scaled = distances.div_(sigma).nan_to_num_(nan=0.0)
        return scaled.square_().mul_(-0.5).exp_()

    def _hsic(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """HSIC up to a factor that is the same for all, averaged over minibatches."""
        of_pairs = (x * y).sum(dim=(-2, -1))
        if self.batch_size is None:
            return of_pairs.mean(dim=-1)
        size = x.shape[-1]
        x_rows, y_rows = x.sum(dim=-1), y.sum(dim=-1)
        of_sums = x_rows.sum(dim=-1) * y_rows.sum(dim=-1) / ((size - 1) * (size - 2))
        of_rows = 2 * (x_rows * y_rows).sum(dim=-1) / (size - 2)
        return (of_pairs + of_sums - of_rows).mean(dim=-1)


def _squared_product_norm(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """norm(Y^T X)^2, the squares of all its entries summed."""
    n_examples, n_units = x.shape[-2:]
    if n_units * y.shape[-1] <= n_examples**2:
        return ((y.mT @ x) ** 2).sum(dim=(-2, -1))
    return ((x @ x.mT) * (y @ y.mT)).sum(dim=(-2, -1))


def _alignment(
    together: torch.Tensor, of_first: torch.Tensor, of_second: torch.Tensor
) -> torch.Tensor:
    norms = of_first.clamp(min=0).sqrt() * of_second.clamp(min=0).sqrt()
    return torch.where(norms > 0, together / norms, torch.nan)


def _split(x: torch.Tensor, batch_size: int) -> torch.Tensor:
    """Minibatches, shape (..., n_batches, size, n_units), of about the size asked for.

    Each takes every n-th example, so that sorted examples are mixed; fewer than one for each
    minibatch are left over.
    """
    n_examples = x.shape[-2]
    n_batches = max(1, n_examples // batch_size)
    size = n_examples // n_batches
    return x[..., : n_batches * size, :].unflatten(-2, (size, n_batches)).transpose(-3, -2)
