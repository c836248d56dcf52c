"""The joint histogram of every input with every output, in one go.

An input above its k-th edge and an output above its l-th edge at the same time: counting this for
all pairs is one matrix product of indicators, and differences of such counts are the histogram.
For many bins the product does needless work, and counting one key for each sample and pair is
cheaper.
"""

import torch

# float32 holds whole numbers up to 2^24, so two counts below 2^12 share one product
_RADIX = 2**12
_ROWS_ON_GPU = 2**16
# multiply-adds of a matrix product that take as long as counting one key
_PRODUCTS_PER_KEY = 180
_KEYS_AT_ONCE = 2**20


def joint_counts(
    inputs: torch.Tensor, outputs: torch.Tensor, in_edges: torch.Tensor, out_edges: torch.Tensor
) -> torch.Tensor:
    """Count how often each input's bin goes with each output's bin.

    The same as `numpy.histogram2d` for every pair of an input and an output: a bin includes its
    lower edge, the last bin its upper edge as well, and values outside the edges are left out.

    Args:
        inputs: floats, shape (batch, n_inputs, n_samples), each within the input edges.
        outputs: floats, shape (batch, n_outputs, n_samples).
        in_edges: float64, ascending, shape (n_input_bins + 1,).
        out_edges: float64, ascending, shape (n_outputs, n_output_bins + 1); an output with fewer
            bins repeats infinity after its last edge.

    Returns:
        int32, shape (batch, n_inputs, n_outputs, n_input_bins, n_output_bins).
    """
    thresholds = _thresholds(out_edges, outputs.dtype)
    first, width = _occupied(outputs, thresholds)
    inner = round_up(in_edges[1:-1], inputs.dtype)
    packing = 2 if outputs.device.type == "cpu" else 1
    products_per_pair = (len(inner) + 1) * width / packing
    if products_per_pair > _PRODUCTS_PER_KEY:
        counts = _count_keys(inputs, outputs, inner, thresholds)
    else:
        window = thresholds.gather(1, first[:, None] + torch.arange(width - 1, device=first.device))
        compact = from_cumulative(_count_above(inputs, outputs, inner, window))
        counts = _placed(compact, first, thresholds.shape[1] + 1)
    return counts[..., 1:-1]


def places(values: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """In which bin each value is, from 1; 0 is below the edges, n_bins + 1 above them.

    Args:
        values: floats, shape (n_outputs, n_samples).
        edges: float64, ascending, shape (n_outputs, n_bins + 1), padded with infinity.

    Returns:
        int64 of the shape of the values.
    """
    return torch.searchsorted(_thresholds(edges, values.dtype), values, right=True)


def round_up(edges: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The least values of a coarser type that are not below the edges, so comparisons are exact."""
    rounded = edges.to(dtype)
    above = torch.nextafter(rounded, torch.full_like(rounded, torch.inf))
    return torch.where(rounded.to(edges.dtype) < edges, above, rounded)


def from_cumulative(above: torch.Tensor) -> torch.Tensor:
    """Counts of bins from counts of samples at or above both lower edges.

    Args:
        above: shape (..., n_input_bins, n_output_bins).

    Returns:
        Of the same shape and type.
    """
    in_rows = above.clone()
    in_rows[..., :-1, :] -= above[..., 1:, :]
    counts = in_rows.clone()
    counts[..., :-1] -= in_rows[..., 1:]
    return counts


def _thresholds(edges: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What a value must reach to be in each bin or above it, and last: to be outside."""
    last_edge = edges.masked_fill(edges.isinf(), -torch.inf).amax(dim=1, keepdim=True)
    is_last = edges == last_edge
    beyond = torch.nextafter(round_up(edges, dtype), torch.tensor(torch.inf, dtype=dtype))
    exact = edges == round_up(edges, dtype).to(edges.dtype)
    return torch.where(is_last & exact, beyond, round_up(edges, dtype)).contiguous()


def _occupied(outputs: torch.Tensor, thresholds: torch.Tensor) -> tuple[torch.Tensor, int]:
    """The first occupied place of each output, 0 being below the range, and the common width."""
    # not aminmax, whose reduction of the last axis is twenty times slower on a CPU
    lowest, highest = outputs.amin(dim=2), outputs.amax(dim=2)
    ends = torch.stack([lowest.amin(dim=0), highest.amax(dim=0)], dim=1)
    first, last = torch.searchsorted(thresholds, ends, right=True).unbind(1)
    width = int((last - first).max()) + 1
    return first.clamp(max=thresholds.shape[1] + 1 - width), width


def _count_above(
    inputs: torch.Tensor, outputs: torch.Tensor, in_edges: torch.Tensor, out_edges: torch.Tensor
) -> torch.Tensor:
    """How many samples reach both edges, shape (batch, inputs, outputs, in bins, out bins)."""
    batch, n_inputs, n_samples = inputs.shape
    n_outputs, n_out = out_edges.shape
    n_in = len(in_edges)
    products = _products(inputs, outputs, in_edges.expand(n_inputs, -1), out_edges)
    above = products.new_empty((batch, n_inputs, n_outputs, n_in + 1, n_out + 1))
    above[..., 0, 0] = n_samples
    above[..., 1:, 0] = products[:, :-1, -1].reshape(batch, n_inputs, 1, n_in)
    above[..., 0, 1:] = products[:, -1, :-1].reshape(batch, 1, n_outputs, n_out)
    both = products[:, :-1, :-1].reshape(batch, n_inputs, n_in, n_outputs, n_out)
    above[..., 1:, 1:] = both.transpose(2, 3)
    return above


def _products(
    inputs: torch.Tensor, outputs: torch.Tensor, in_edges: torch.Tensor, out_edges: torch.Tensor
) -> torch.Tensor:
    """Inner products over the samples of all indicators and, last, of one that is always 1.

    Returns:
        int32, shape (batch, n_inputs * n_in_edges + 1, n_outputs * n_out_edges + 1).
    """
    if inputs.device.type == "cpu":
        return _packed_products(inputs, outputs, in_edges, out_edges)
    batch, _, n_samples = inputs.shape
    rows = min(n_samples, _ROWS_ON_GPU)
    left, right = (_Indicators(edges, batch, rows) for edges in (in_edges, out_edges))
    total = torch.zeros((), dtype=torch.int32, device=inputs.device)
    for some_in, some_out in zip(inputs.split(rows, -1), outputs.split(rows, -1), strict=True):
        total = total + torch.bmm(left.of(some_in), right.of(some_out).mT).int()
    return total


def _packed_products(
    inputs: torch.Tensor, outputs: torch.Tensor, in_edges: torch.Tensor, out_edges: torch.Tensor
) -> torch.Tensor:
    """The same with the indicators of two output edges in each float: half the multiplications."""
    n_out = out_edges.shape[1]
    if n_out % 2:
        beyond = torch.full_like(out_edges[:, :1], torch.inf)
        out_edges = torch.cat([out_edges, beyond], dim=1)
    batch, _, n_samples = inputs.shape
    rows = min(n_samples, _RADIX - 1)
    left, right = (_Indicators(edges, batch, rows) for edges in (in_edges, out_edges))
    packed = inputs.new_ones((batch, out_edges.numel() // 2 + 1, rows), dtype=torch.float32)
    total = torch.zeros((), dtype=torch.int32)
    for some_in, some_out in zip(inputs.split(rows, -1), outputs.split(rows, -1), strict=True):
        pairs = packed[..., : some_in.shape[-1]]
        reached = right.of(some_out)[:, :-1]
        torch.add(reached[:, 0::2], reached[:, 1::2], alpha=_RADIX, out=pairs[:, :-1])
        total = total + _unpacked(torch.bmm(left.of(some_in), pairs.mT).to(torch.int32))
    kept = total[..., :-1].unflatten(2, out_edges.shape)[..., :n_out].flatten(2)
    return torch.cat([kept, total[..., -1:]], dim=2)


class _Indicators:
    """Which values reach which edges, as floats, in memory that all pieces of the samples share."""

    def __init__(self, edges: torch.Tensor, batch: int, rows: int) -> None:
        self._edges = edges
        self._memory = edges.new_ones((batch, edges.numel() + 1, rows), dtype=torch.float32)

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """Shape (batch, variables * edges + 1, samples), ones in the last row."""
        indicators = self._memory[..., : values.shape[-1]]
        reached = indicators[:, :-1].view(len(values), *self._edges.shape, values.shape[-1])
        torch.ge(values.unsqueeze(2), self._edges.unsqueeze(-1), out=reached)
        return indicators


def _unpacked(products: torch.Tensor) -> torch.Tensor:
    pairs, ones = products[..., :-1], products[..., -1:]
    low = pairs & (_RADIX - 1)
    return torch.cat([torch.stack([low, pairs >> 12], dim=-1).flatten(2), ones], dim=-1)


def _placed(compact: torch.Tensor, first: torch.Tensor, n_places: int) -> torch.Tensor:
    """Move each output's occupied bins to where they belong."""
    batch, n_inputs, n_outputs, n_in_bins, width = compact.shape
    if width == n_places:
        return compact
    places = first[:, None] + torch.arange(width, device=first.device)
    counts = compact.new_zeros((batch, n_inputs, n_outputs, n_in_bins, n_places))
    places = places[None, None, :, None, :].expand_as(compact)
    return counts.scatter_(-1, places, compact)


def _count_keys(
    inputs: torch.Tensor, outputs: torch.Tensor, in_edges: torch.Tensor, thresholds: torch.Tensor
) -> torch.Tensor:
    batch, n_inputs, n_samples = inputs.shape
    n_outputs, n_places = thresholds.shape[0], thresholds.shape[1] + 1
    n_in_bins = len(in_edges) + 1
    cells = n_outputs * n_in_bins * n_places
    out_keys = torch.searchsorted(
        thresholds, outputs.transpose(0, 1).flatten(1).contiguous(), right=True
    )
    out_keys += torch.arange(n_outputs, device=outputs.device)[:, None] * n_in_bins * n_places
    out_keys = out_keys.view(n_outputs, batch, n_samples).transpose(0, 1)
    in_keys = torch.bucketize(inputs.contiguous(), in_edges, right=True) * n_places
    in_keys += torch.arange(batch * n_inputs, device=inputs.device).view(batch, -1, 1) * cells
    flat = torch.empty(batch * n_inputs * cells, dtype=torch.int32, device=inputs.device)
    block = min(n_inputs, max(1, _KEYS_AT_ONCE // out_keys[0].numel()))
    buffer = out_keys.new_empty((block, n_outputs, n_samples))
    for index in range(batch):
        for start in range(0, n_inputs, block):
            rows = in_keys[index, start : start + block]
            offset = (index * n_inputs + start) * cells
            keys = buffer[: len(rows)]
            torch.add((rows - offset).unsqueeze(1), out_keys[index].unsqueeze(0), out=keys)
            length = len(rows) * cells
            flat[offset : offset + length] = torch.bincount(keys.view(-1), minlength=length)
    return flat.view(batch, n_inputs, n_outputs, n_in_bins, n_places)
