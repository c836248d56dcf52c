"""Entropy beyond the sample: estimates that correct the bias of the plug-in entropy.

From k observations the plug-in entropy cannot exceed log2 k, however rich the source, and falls
short wherever states are rare. A correction uses how often states occurred to say how much is
missing. `corrected_entropy` takes any of them by name.
"""

import functools
from typing import Literal, get_args

import torch

from deep_bottleneck.information.arrays import BITS_PER_NAT, Array, as_tensor
from deep_bottleneck.information.discrete import Counts

AdditiveCorrection = Literal["miller-madow", "grassberger"]
Correction = Literal["miller-madow", "grassberger", "chao-shen"]


def corrected_entropy(counts: Counts, correction: Correction | None = None) -> torch.Tensor:
    """Shannon entropy with a correction of the finite-sample bias.

    - "miller-madow" removes the bias of first order in 1/N, which is enough where most states
      occurred several times: H + (K - 1) / 2N nats, K being the number of distinct states among N
      observations. Miller, "Note on the bias of information estimates", 1955; Paninski,
      "Estimation of entropy and mutual information", Neural Computation 2003.
    - "grassberger" is nearly unbiased from about one expected occurrence of each state on.
      Grassberger, "Entropy estimates from insufficient samplings", arXiv:physics/0307138, eq. 30.
    - "chao-shen" is for heavy under-sampling: H = -sum q log2 q / (1 - (1 - q)^N) with q = C p.
      Frequencies are scaled by the coverage C, and each term is divided by the probability that its
      state is seen at all (Horvitz-Thompson). Where every state occurred once, C would be 0 and one
      of them is taken to have occurred twice. Chao and Shen, "Nonparametric estimation of Shannon's
      index of diversity when there are unseen species in sample", Environmental and Ecological
      Statistics 2003.

    Args:
        counts: the counts of a batch of problems.
        correction: the correction, or None for the plug-in estimate, the same as `entropy`.

    Returns:
        float64, shape (n_problems,), in bits.

    Raises:
        ValueError: if the correction is unknown.
    """
    _check(correction, get_args(Correction))
    if correction == "chao-shen":
        return _chao_shen(counts)
    terms = count_terms(counts.n_samples, correction).to(counts.counts.device)[counts.counts]
    total = torch.segment_reduce(terms, "sum", lengths=counts.n_distinct)
    return entropy_offset(torch.tensor(counts.n_samples), correction) - total / counts.n_samples


def count_terms(n_samples: int, correction: AdditiveCorrection | None = None) -> torch.Tensor:
    """What a state that occurs n times adds to an estimate of entropy, for every n at once.

    Every additive estimator has the form H = c(N) - sum_i t(n_i) / N over the states' counts n_i,
    with c as `entropy_offset` and t as tabulated here:

    - plug-in: t(n) = n log2 n;
    - Miller-Madow: t(n) = n log2 n - 1/(2 ln 2), half a nat for each state seen (Miller 1955);
    - Grassberger: t(n) = n G(n) / ln 2 with G(n) = digamma(n) + (-1)^n (digamma((n+1)/2) -
      digamma(n/2)) / 2 (Grassberger 2003, eq. 30).

    Args:
        n_samples: the largest count.
        correction: the finite-sample bias correction, or None for the plug-in estimate.

    Returns:
        float64, shape (n_samples + 1,), in bits; a state that never occurs adds 0.

    Raises:
        ValueError: if the correction is unknown or not additive.
    """
    _check(correction, get_args(AdditiveCorrection))
    return _count_terms(n_samples, correction)


def entropy_offset(n_samples: Array, correction: AdditiveCorrection | None = None) -> torch.Tensor:
    """The part of an additive estimate of entropy that depends on the number of samples alone.

    Args:
        n_samples: numbers of samples, of any shape; none of them counts as one.
        correction: as for `count_terms`.

    Returns:
        float64 of the same shape, in bits: log2 N, and half a nat over N less for Miller-Madow.
    """
    samples = as_tensor(n_samples).to(torch.float64).clamp(min=1.0)
    offset: torch.Tensor = samples.log2()
    if correction == "miller-madow":
        offset = offset - BITS_PER_NAT / (2 * samples)
    return offset


def sample_coverage(counts: Counts) -> torch.Tensor:
    """Good-Turing estimate of the probability that the next observation is a known state.

    C = 1 - f1 / N, with f1 the number of states that occurred exactly once among N observations.
    Good, "The population frequencies of species", Biometrika 1953.

    Returns:
        float64, shape (n_problems,), from 0 (every state was seen once) to 1 (none was).
    """
    return 1.0 - _singletons(counts) / counts.n_samples


def _check(correction: str | None, known: tuple[str, ...]) -> None:
    if correction is not None and correction not in known:
        raise ValueError(
            f"correction must be None or one of {', '.join(known)}, got {correction!r}"
        )


@functools.lru_cache(maxsize=4)
def _count_terms(n_samples: int, correction: AdditiveCorrection | None) -> torch.Tensor:
    count = torch.arange(n_samples + 1, dtype=torch.float64)
    if correction == "grassberger":
        sign = 1 - 2 * (count % 2)
        digamma = torch.special.digamma
        nats = count * (digamma(count) + sign / 2 * (digamma((count + 1) / 2) - digamma(count / 2)))
    else:
        nats = torch.xlogy(count, count)
        if correction == "miller-madow":
            nats -= 0.5
    nats[0] = 0.0
    bits: torch.Tensor = nats * BITS_PER_NAT
    return bits


def _chao_shen(counts: Counts) -> torch.Tensor:
    n_samples = counts.n_samples
    singletons = _singletons(counts)
    singletons = torch.where(singletons == n_samples, singletons - 1.0, singletons)
    coverage = 1.0 - singletons / n_samples
    scaled = counts.counts / n_samples * coverage.repeat_interleave(counts.n_distinct)
    # 1 - (1 - q)^N, without losing the small q
    seen = -torch.expm1(n_samples * torch.log1p(-scaled))
    terms = -torch.xlogy(scaled, scaled) * BITS_PER_NAT / seen
    return torch.segment_reduce(terms, "sum", lengths=counts.n_distinct)


def _singletons(counts: Counts) -> torch.Tensor:
    once = (counts.counts == 1).to(torch.float64)
    return torch.segment_reduce(once, "sum", lengths=counts.n_distinct)
