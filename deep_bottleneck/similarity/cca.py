"""Similarity by canonical correlations, SVCCA and PWCCA.

Raghu et al. 2017, "SVCCA: singular vector canonical correlation analysis for deep learning dynamics
and interpretability"; Morcos, Raghu & Bengio 2018, "Insights on representational similarity in
neural networks with canonical correlation".

The canonical correlations of two representations are the singular values of Ux^T Uy, with Ux and Uy
orthonormal bases of what their centred units span (Björck & Golub 1973, "Numerical methods for
computing angles between linear subspaces"). No covariance is inverted, so units that are dead or
copies of others do no harm.
"""

import warnings
from typing import NamedTuple

import torch

from deep_bottleneck.errors import UnresolvedWarning
from deep_bottleneck.similarity.base import Measure

# Directions that are shorter than this, next to the longest, are rounding of float32 activations.
RANK_TOLERANCE = 1e-6


class Basis(NamedTuple):
    """An orthonormal basis of what the units of a representation span.

    Attributes:
        vectors: shape (..., n_examples, n_directions); a direction that is not kept is zero.
        loadings: the units in this basis, shape (..., n_directions, n_units).
        n_kept: how many directions are kept, shape (...).
    """

    vectors: torch.Tensor
    loadings: torch.Tensor
    n_kept: torch.Tensor


class _CanonicalMeasure(Measure[Basis]):
    """Compares the directions that explain a share of the variance of each representation."""

    def __init__(self, variance: float) -> None:
        if not 0 < variance <= 1:
            raise ValueError(f"the share of variance to keep must be in (0, 1], got {variance}")
        self.variance = variance

    def prepare(self, x: torch.Tensor) -> Basis:
        """The principal directions that explain the share of variance."""
        vectors, scales, units = torch.linalg.svd(x, full_matrices=False)
        kept = scales > RANK_TOLERANCE * scales[..., :1]
        if self.variance < 1:
            explained = (scales**2).cumsum(dim=-1)
            before = explained - scales**2
            kept &= before < self.variance * explained[..., -1:]
        n_kept = kept.sum(dim=-1)
        most = max(1, int(n_kept.max()))
        kept = kept[..., :most]
        return Basis(
            vectors[..., :most] * kept.unsqueeze(-2),
            (scales[..., :most] * kept).unsqueeze(-1) * units[..., :most, :],
            n_kept,
        )


class SVCCA(_CanonicalMeasure):
    """The mean canonical correlation of the directions that explain most of the variance.

    Raghu et al. 2017, section 2.1; the mean is over as many correlations as the representation
    with fewer such directions has. Symmetric, and the same after an orthogonal transformation or a
    uniform scaling of the units of either representation.
    """

    name = "SVCCA"

    def __init__(self, variance: float = 0.99) -> None:
        """Store the share of variance to keep.

        Args:
            variance: the share, in (0, 1].

        Raises:
            ValueError: if it is not.
        """
        super().__init__(variance)

    def between(self, x: Basis, y: Basis) -> torch.Tensor:
        """The mean correlation."""
        _warn_if_unresolved(x, y)
        # (..., x's directions, y's directions)
        correlations = torch.linalg.svdvals(x.vectors.mT @ y.vectors)
        return correlations.sum(dim=-1).clamp(min=0) / torch.minimum(x.n_kept, y.n_kept)


class PWCCA(_CanonicalMeasure):
    """The canonical correlations, weighted by how much of the first representation each explains.

    Morcos, Raghu & Bengio 2018, section 2.1: sum_i alpha_i rho_i / sum_i alpha_i, where alpha_i is
    the sum of abs(<h_i, x_j>) over all units x_j of the first representation, and h_i its canonical
    variable. Not symmetric. With all of the variance kept, the same after any invertible linear
    transformation of the second representation.
    """

    name = "PWCCA"

    def __init__(self, variance: float = 1.0) -> None:
        """Store the share of variance to keep.

        Args:
            variance: the share, in (0, 1].

        Raises:
            ValueError: if it is not.
        """
        super().__init__(variance)

    def between(self, x: Basis, y: Basis) -> torch.Tensor:
        """The weighted mean correlation."""
        _warn_if_unresolved(x, y)
        directions, correlations, _ = torch.linalg.svd(
            x.vectors.mT @ y.vectors, full_matrices=False
        )
        # <h_i, x_j>: (..., canonical variables, x's units)
        weights = (directions.mT @ x.loadings).abs().sum(dim=-1)
        n_pairs = torch.minimum(x.n_kept, y.n_kept)
        is_pair = torch.arange(weights.shape[-1], device=weights.device) < n_pairs.unsqueeze(-1)
        weights = weights * is_pair
        return (weights * correlations).sum(dim=-1) / weights.sum(dim=-1)


def _warn_if_unresolved(x: Basis, y: Basis) -> None:
    """Say so where two subspaces share a direction for want of examples."""
    n_examples = x.vectors.shape[-2]
    n_directions = int((x.n_kept + y.n_kept).max())
    if n_directions >= n_examples:
        warnings.warn(
            f"{n_directions} directions of two representations cannot be told apart by "
            f"{n_examples} examples, so that some correlations are 1 by necessity; take more "
            "examples or keep less variance",
            UnresolvedWarning,
            stacklevel=4,
        )
