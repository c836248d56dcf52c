"""Mutual information of joint histograms, for many pairs at a time."""

from typing import Literal, get_args

import numpy as np
import torch

from deep_bottleneck.information.corrections import AdditiveCorrection, count_terms, entropy_offset

_TERMS_AT_ONCE = 2**18

PairCorrection = AdditiveCorrection | Literal["shuffle"]


def checked_correction(correction: PairCorrection | None) -> None:
    """Raise a ValueError if the correction is not known."""
    known = (*get_args(AdditiveCorrection), "shuffle")
    if correction is not None and correction not in known:
        raise ValueError(f"correction must be None or one of {', '.join(known)}; got {correction}")


def mutual_information(
    counts: torch.Tensor,
    correction: PairCorrection | None = None,
    shuffled: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mutual information of each joint histogram, I = H(X) + H(Y) - H(X,Y).

    With "shuffle", the plug-in estimate I is adjusted for the E that the same outputs show with
    the inputs of other samples, of which they are independent: (I - E) H / (H - E), H being the
    smaller of the two entropies. It is 0 in expectation for independent variables and leaves a
    one-to-one relation alone (Vinh, Epps and Bailey 2010, eq. 4).

    Args:
        counts: integers, shape (..., n_input_bins, n_output_bins).
        correction: the finite-sample bias correction, or None for the plug-in estimate.
        shuffled: what "shuffle" needs, counts of the same shape with inputs of other samples.

    Returns:
        float64, shape (...), in bits; 0 for a histogram without samples.
    """
    if correction != "shuffle":
        information, _ = _information(counts, correction)
        return information.clamp(min=0.0) if correction is None else information
    if shuffled is None:
        raise ValueError('the correction "shuffle" needs the shuffled counts')
    information, smaller_entropy = _information(counts, None)
    by_chance, _ = _information(shuffled, None)
    room = smaller_entropy - by_chance
    adjusted = (information - by_chance) * smaller_entropy / room
    return torch.where(room > 0, adjusted, 0.0)


def summed_groups(by_group: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The counts of all groups, and of all but each one of them if there is more than one."""
    if len(by_group) == 1:
        return by_group[0], by_group[:0]
    total = by_group.sum(dim=0, dtype=by_group.dtype)
    return total, total - by_group


def _information(
    counts: torch.Tensor, correction: AdditiveCorrection | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The information, and the smaller of the two marginal entropies."""
    if not counts.numel():
        empty = torch.zeros(counts.shape[:-2], dtype=torch.float64, device=counts.device)
        return empty, empty
    inputs = counts.sum(dim=-1, dtype=counts.dtype)
    outputs = counts.sum(dim=-2, dtype=counts.dtype)
    samples = inputs.sum(dim=-1)
    terms = count_terms(int(samples.max()), correction)
    offset = entropy_offset(samples, correction)
    total = samples.clamp(min=1)

    def entropy(counts: torch.Tensor) -> torch.Tensor:
        return offset - _sum_of_terms(terms, counts.flatten(samples.dim())) / total

    of_input, of_output = entropy(inputs), entropy(outputs)
    information = of_input + of_output - entropy(counts)
    return information, torch.minimum(of_input, of_output)


def _sum_of_terms(terms: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """terms[counts].sum(dim=-1); on a CPU by NumPy in pieces, which is several times faster."""
    if counts.device.type != "cpu":
        return terms.to(counts.device)[counts].sum(dim=-1)
    rows = counts.reshape(-1, counts.shape[-1]).numpy()
    pieces = np.array_split(rows, -(-rows.size // _TERMS_AT_ONCE))
    sums = [np.take(terms.numpy(), piece).sum(axis=-1) for piece in pieces]
    return torch.from_numpy(np.concatenate(sums)).view(counts.shape[:-1])
