"""Entropy beyond the sample: estimates that correct the plug-in entropy for states not yet seen.

From k observations the plug-in entropy cannot exceed log2 k, however rich the source. These
estimators use how many states occurred, and how many of them only once, to say how much is missing.
"""

import torch

from deep_bottleneck.information.arrays import BITS_PER_NAT
from deep_bottleneck.information.discrete import Counts
from deep_bottleneck.information.renyi import renyi_entropy


def sample_coverage(counts: Counts) -> torch.Tensor:
    """Good-Turing estimate of the probability that the next observation is a known state.

    C = 1 - f1 / N, with f1 the number of states that occurred exactly once among N observations.
    Good, "The population frequencies of species", Biometrika 1953.

    Returns:
        float64, shape (n_problems,), from 0 (every state was seen once) to 1 (none was).
    """
    return 1.0 - _singletons(counts) / counts.n_samples


def miller_madow(counts: Counts) -> torch.Tensor:
    """Shannon entropy with the Miller-Madow correction, H + (K - 1) / 2N nats.

    K is the number of distinct states among N observations. It removes the bias of first order in
    1/N, which is enough where most states occurred several times.
    Miller, "Note on the bias of information estimates", 1955; Paninski, "Estimation
    of entropy and mutual information", Neural Computation 2003.

    Returns:
        float64, shape (n_problems,), in bits.
    """
    bias = (counts.n_distinct.to(torch.float64) - 1.0) / (2.0 * counts.n_samples)
    return renyi_entropy(counts) + bias * BITS_PER_NAT


def chao_shen(counts: Counts) -> torch.Tensor:
    """Shannon entropy with the coverage correction of Chao and Shen, for heavy under-sampling.

    H = -sum q log2 q / (1 - (1 - q)^N) with q = C p: frequencies are scaled by the coverage C, and
    each term is divided by the probability that its state is seen at all (Horvitz-Thompson). Where
    every state occurred once, C would be 0 and one of them is taken to have occurred twice.
    Chao and Shen, "Nonparametric estimation of Shannon's index of diversity when there are unseen
    species in sample", Environmental and Ecological Statistics 2003.

    Returns:
        float64, shape (n_problems,), in bits.
    """
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
