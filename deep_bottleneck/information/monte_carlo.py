"""Information in a representation with Gaussian noise, by Monte Carlo.

A layer's representation of N equally likely inputs, with Gaussian noise Z of variance v added to
it, is a mixture of N Gaussians: T = M + Z. Its information has no closed form, but is the mean of
a logarithm that is easy to sample (Goldfeld et al. 2019, "Estimating information flow in deep
neural networks", ICML, section 4)::

    I(X;T) = mean over i and Z of -log2 1/N sum_k exp((|Z|^2 - |m_i + Z - m_k|^2) / 2v)

It lies between the bounds of `mixture` and, unlike them, comes with a standard error.
"""

from typing import NamedTuple

import torch

from deep_bottleneck.information.arrays import BITS_PER_NAT, Array, as_floats, as_labels

# Exponents below this change a sum by less than float32 can tell.
_SMALLEST_EXPONENT = -80.0
# A tile of this many examples by all others stays near a core.
_TILE = 32
# An exponent may err by this much, in bits, before its sum does.
_LARGEST_ERROR = 1e-4


class NoisyInformation(NamedTuple):
    """I(X;T), I(Y;T) and their standard errors, in bits, each float64 of shape (runs,)."""

    mi_xm: torch.Tensor
    mi_ym: torch.Tensor
    error_xm: torch.Tensor
    error_ym: torch.Tensor


def noisy_information(
    activations: Array, labels: Array, noise_variance: float, draws: int = 2, seed: int = 0
) -> NoisyInformation:
    """Information in a representation with Gaussian noise.

    Memory is bounded by runs x (draws x n_examples + n_examples x n_units + 32 x n_examples)
    float64 numbers.

    Args:
        activations: floats, shape (runs, n_examples, n_units).
        labels: integers from 0, shape (n_examples,).
        noise_variance: variance v of the noise, positive.
        draws: samples of the noise for each example, at least 2.
        seed: of the noise, which is the same for all runs.

    Returns:
        The information, and the standard errors of sampling the noise.

    Raises:
        ValueError: if an activation is not finite or too large to be told from others at this
            variance, there are no examples, or the labels, the variance or the draws do not fit.
    """
    points = as_floats(activations)
    if not noise_variance > 0:
        raise ValueError(f"the noise variance must be positive, got {noise_variance}")
    if draws < 2:
        raise ValueError(f"a standard error needs at least 2 draws, got {draws}")
    n_examples = points.shape[1]
    if n_examples == 0:
        raise ValueError("cannot measure a representation of no examples")
    classes = as_labels(labels, n_examples).to(points.device)
    # scaled such that the kernel is 2^(-|a - b|^2 / 2)
    unit = (BITS_PER_NAT / noise_variance) ** 0.5
    points = points.to(torch.float64)
    points = (points - points.mean(dim=1, keepdim=True)) * unit
    largest = points.square().sum(dim=2).max()
    if not float(largest) * points.shape[2] * torch.finfo(torch.float64).eps < _LARGEST_ERROR:
        raise ValueError(
            "cannot measure distances of activations that are NaN, infinite or too large for a "
            f"noise variance of {noise_variance}"
        )
    generator = torch.Generator().manual_seed(seed)
    sampled = []
    for _ in range(draws):
        noise = torch.randn(points.shape[1:], generator=generator, dtype=torch.float64)
        scaled = noise.to(points.device) * BITS_PER_NAT**0.5
        sampled.append(_log_ratios(points, scaled, classes))
    about_input, about_label = torch.stack(sampled, dim=1)
    return NoisyInformation(
        about_input.mean(dim=(0, 2)),
        about_label.mean(dim=(0, 2)),
        _standard_error(about_input),
        _standard_error(about_label),
    )


def _log_ratios(points: torch.Tensor, noise: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """For one draw, each example's terms of I(X;T) and I(Y;T), shape (2, runs, n_examples)."""
    noisy = points + noise
    norms = points.square().sum(dim=2, keepdim=True)
    offsets = noise.square().sum(dim=1, keepdim=True) - noisy.square().sum(dim=2, keepdim=True)
    ones = torch.ones_like(norms)
    # (|z|^2 - |t - s|^2) / 2 with t = s_i + z, as one product of augmented factors
    left = torch.cat([noisy, offsets / 2, ones], dim=2)
    right = torch.cat([points, ones, -norms / 2], dim=2).transpose(1, 2)
    sizes = torch.bincount(classes)
    members = torch.eye(len(sizes), device=points.device)[classes].expand(len(points), -1, -1)
    sums = norms.new_empty(*norms.shape[:2], len(sizes))
    for start in range(0, points.shape[1], _TILE):
        rows = slice(start, start + _TILE)
        exponents = torch.bmm(left[:, rows], right).to(torch.float32)
        sums[:, rows] = torch.bmm(exponents.clamp_(min=_SMALLEST_EXPONENT).exp2_(), members)
    about_input = -torch.log2(sums.sum(dim=2) / len(classes))
    own = sums.gather(2, classes.expand(len(points), -1)[..., None]).squeeze(2)
    return torch.stack([about_input, about_input + torch.log2(own / sizes[classes])])


def _standard_error(terms: torch.Tensor) -> torch.Tensor:
    """Of the mean over all, where each example is sampled equally often."""
    draws, _, n_examples = terms.shape
    return (terms.var(dim=0).mean(dim=1) / (draws * n_examples)).sqrt()
