"""How often does each row occur? Rows to keys, keys to counts, counts to entropy and MI.

Binned activations, hashed activations and firing states are all the same question, answered here
once. Every function works on a batch of problems at a time: the leading axis is the run.
"""

import functools
import hashlib
from collections import Counter
from typing import NamedTuple

import numpy as np
import torch

from deep_bottleneck.information.arrays import BITS_PER_NAT, Array, as_floats, as_labels, as_tensor

_MULTIPLIER_SEED = 0x9E3779B9
# Up to here looking terms up in a table is faster than computing their logarithms.
_LARGEST_TABLE = 2**16


class Counts(NamedTuple):
    """How often each distinct key occurs, for a batch of problems, as one ragged list.

    Attributes:
        counts: int64, shape (sum of n_distinct,), the occurrences of each distinct key, problem
            after problem.
        n_distinct: int64, shape (n_problems,), how many of the counts belong to each problem.
        n_samples: how many samples each problem has, the sum of its counts.
    """

    counts: torch.Tensor
    n_distinct: torch.Tensor
    n_samples: int


def bin_indices(values: Array, width: float) -> torch.Tensor:
    """The index of the fixed-width bin each value falls into, `floor(value / width)`.

    Args:
        values: numbers of any shape.
        width: the width of a bin, positive.

    Returns:
        int64 of the same shape.

    Raises:
        ValueError: if the width is not positive, or a value is not finite or too large to index.
    """
    if not width > 0:
        raise ValueError(f"the bin width must be positive, got {width}")
    scaled = as_floats(values) / width
    lowest, highest = _limits(scaled)
    if not (lowest > -(2.0**62) and highest < 2.0**62):
        raise ValueError("cannot bin values that are NaN, infinite or above 2^62 bin widths")
    return scaled.floor_().to(torch.int64)


def row_keys(rows: Array, first_column: int = 0) -> torch.Tensor:
    """One 64-bit key for each row; equal rows get equal keys.

    Each column is multiplied by its own fixed random odd number and the products are added, modulo
    2^64. Two rows of numbers well below 2^63, such as bin indices, share a key with a probability
    of about 2^-64, so among N rows any do with about N^2 / 2^64.

    Keys of a part of the columns add up to the key of the whole row, so the joint states of two
    variables have the keys `row_keys(x) + row_keys(y, first_column=x.shape[-1])`.

    Args:
        rows: integers or booleans, shape (..., n_rows, n_columns).
        first_column: the place of the first of these columns, where they are a part of wider rows.

    Returns:
        int64, shape (..., n_rows).
    """
    rows = as_tensor(rows).to(torch.int64)
    multipliers = _multipliers(first_column + rows.shape[-1])[first_column:].to(rows.device)
    if rows.device.type == "cpu":
        return rows @ multipliers
    return (rows * multipliers).sum(dim=-1)  # CUDA has no matrix product of integers


def count_keys(keys: Array) -> Counts:
    """Count the occurrences of each distinct key within each problem.

    Args:
        keys: int64, shape (n_problems, n_samples), with at least one sample.

    Returns:
        The counts, ordered by problem, within a problem by key.

    Raises:
        ValueError: if there are no samples.
    """
    return _count_ordered(_ordered(as_tensor(keys)))


def count_rows(rows: Array) -> Counts:
    """Count the occurrences of each distinct row of any numbers, such as inputs that repeat.

    Rows are told apart by the bytes of their numbers, of which -0 has those of 0.

    Args:
        rows: numbers, shape (n_samples, n_columns), with at least one sample.

    Returns:
        The counts of one problem.

    Raises:
        ValueError: if there are no samples.
    """
    values = as_floats(rows).cpu().numpy() + 0
    if len(values) == 0:
        raise ValueError("cannot count the rows of no samples")
    digests = (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in values)
    counts = torch.tensor(list(Counter(digests).values()))
    return Counts(counts, torch.tensor([len(counts)]), len(values))


def group_sizes(keys: Array) -> torch.Tensor:
    """For each sample the number of samples of its problem that share its key.

    The sample's number is written into the low bits of the key, so that one sort finds the groups
    and their members. The key's highest bits make room for it, and among N samples different keys
    are taken for equal with a probability of about N^3 / 2^64.

    Args:
        keys: int64, shape (..., n_samples), with at least one sample; a problem in each row.

    Returns:
        int64 of the same shape.

    Raises:
        ValueError: if there are no samples.
    """
    keys = as_tensor(keys)
    n_samples = keys.shape[-1]
    sample_bits = (n_samples - 1).bit_length()
    numbered = (keys << sample_bits) | torch.arange(n_samples, device=keys.device)
    ordered = _ordered(numbered).view(-1, n_samples)
    counts = _count_ordered(ordered >> sample_bits).counts
    sizes = _repeated(counts, counts).view_as(ordered)
    order = ordered & ((1 << sample_bits) - 1)
    return torch.empty_like(ordered).scatter_(1, order, sizes).view(keys.shape)


def entropy(counts: Counts) -> torch.Tensor:
    """Shannon entropy of the empirical distribution (plug-in), H = -sum p log2 p.

    Returns:
        float64, shape (n_problems,), in bits.
    """
    terms = _entropy_terms(counts.counts, counts.n_samples)
    return torch.segment_reduce(terms, "sum", lengths=counts.n_distinct)


def entropy_of_keys(keys: Array) -> torch.Tensor:
    """Shannon entropy of keys (plug-in), the same as `entropy(count_keys(keys))` but faster.

    Args:
        keys: int64, shape (n_problems, n_samples), with at least one sample.

    Returns:
        float64, shape (n_problems,), in bits.

    Raises:
        ValueError: if there are no samples.
    """
    return _entropy_of_ordered(_ordered(as_tensor(keys)))


def mutual_information(keys: Array, labels: Array) -> tuple[torch.Tensor, torch.Tensor]:
    """Entropy of a discrete variable and its mutual information with a label (plug-in).

    I(M;Y) = H(M) + H(Y) - H(M,Y), in bits. For a deterministic M = f(X) over distinct inputs X,
    I(X;M) = H(M), so both coordinates of the information plane come out of one call, and of one
    sort: the label is written into the low bits of the key.

    Args:
        keys: int64, shape (n_problems, n_samples), the states of M as `row_keys` gives them. Their
            highest bits make room for the label, so the keys must differ in their low bits.
        labels: integers from 0, shape (n_samples,), the label of each sample, shared by all
            problems.

    Returns:
        H(M) and I(M;Y), each float64 of shape (n_problems,), in bits.

    Raises:
        ValueError: if there are no samples, the labels do not match them, or a label is negative.
    """
    keys = as_tensor(keys)
    classes = as_labels(labels, keys.shape[1]).to(keys.device)
    occurrences = torch.bincount(classes)
    label_bits = (len(occurrences) - 1).bit_length()
    ordered = _ordered((keys << label_bits) | classes)
    both = torch.cat([ordered, ordered >> label_bits])
    joint_entropy, state_entropy = _entropy_of_ordered(both).chunk(2)
    present = occurrences[occurrences > 0]
    label_entropy = entropy(Counts(present, present.new_tensor([len(present)]), len(classes)))
    return state_entropy, (state_entropy + label_entropy - joint_entropy).clamp_(min=0.0)


def _limits(values: torch.Tensor) -> tuple[float, float]:
    """The smallest and the largest value, 0 of none; by NumPy on a CPU, twice as fast."""
    if not values.numel():
        return 0.0, 0.0
    if values.device.type == "cpu" and values.dtype != torch.bfloat16:
        return float(values.numpy().min()), float(values.numpy().max())
    low, high = torch.aminmax(values)
    return low.item(), high.item()


@functools.lru_cache(maxsize=64)
def _multipliers(n_columns: int) -> torch.Tensor:
    generator = np.random.default_rng(_MULTIPLIER_SEED)
    return torch.from_numpy(generator.integers(-(2**63), 2**63, n_columns, dtype=np.int64) | 1)


def _entropy_terms(occurrences: torch.Tensor, n_samples: int) -> torch.Tensor:
    """The contributions -p log2 p of keys that occur so often among n_samples."""
    if n_samples > _LARGEST_TABLE:
        frequencies = occurrences.to(torch.float64) / n_samples
        return -torch.xlogy(frequencies, frequencies) * BITS_PER_NAT
    table = _entropy_table(n_samples)
    if occurrences.device.type == "cpu":  # where NumPy looks up twice as fast
        return torch.from_numpy(np.take(table.numpy(), occurrences.numpy()))
    return table.to(occurrences.device).take(occurrences)


@functools.lru_cache(maxsize=8)
def _entropy_table(n_samples: int) -> torch.Tensor:
    frequencies = torch.arange(n_samples + 1, dtype=torch.float64) / n_samples
    return -torch.xlogy(frequencies, frequencies) * BITS_PER_NAT


def _entropy_of_ordered(ordered: torch.Tensor) -> torch.Tensor:
    """The entropy of ascending keys. Only keys that occur more than once are looked at one by one.

    Those are few where the others are many, so there are never more of them than half the samples.
    """
    n_problems, n_samples = ordered.shape
    repeats = ordered.new_zeros((n_problems, n_samples + 1), dtype=torch.bool)
    torch.eq(ordered[:, 1:], ordered[:, :-1], out=repeats[:, 1:-1])
    flat = repeats.view(-1)
    changes = _nonzero(flat[1:] != flat[:-1])
    first, last = changes[::2], changes[1::2]
    occurrences = last - first + 1
    problem = first // (n_samples + 1)
    of_repeated = torch.bincount(problem, _entropy_terms(occurrences, n_samples), n_problems)
    once = n_samples - torch.bincount(problem, occurrences.to(torch.float64), n_problems)
    return of_repeated + once * _entropy_terms(occurrences.new_ones(1), n_samples)


def _count_ordered(ordered: torch.Tensor) -> Counts:
    n_samples = ordered.shape[1]
    starts_group = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[:, 1:], ordered[:, :-1], out=starts_group[:, 1:])
    starts = _nonzero(starts_group.view(-1))
    counts = torch.diff(starts, append=starts.new_full((1,), ordered.numel()))
    return Counts(counts, starts_group.sum(dim=1), n_samples)


def _ordered(keys: torch.Tensor) -> torch.Tensor:
    """Rows in ascending order; on a CPU by NumPy, whose vectorised sort is twice as fast."""
    if keys.shape[-1] == 0:
        raise ValueError("cannot count the keys of no samples")
    if keys.device.type == "cpu":
        return torch.from_numpy(np.sort(keys.numpy(), axis=-1))
    return torch.sort(keys, dim=-1).values


def _repeated(values: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Each value so many times; on a CPU by NumPy, which is twice as fast."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.repeat(values.numpy(), times.numpy()))
    return values.repeat_interleave(times)


def _nonzero(flags: torch.Tensor) -> torch.Tensor:
    """Where flags are set; on a CPU by NumPy, which is three times as fast."""
    if flags.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(flags.numpy()))
    return torch.nonzero(flags).squeeze(1)
