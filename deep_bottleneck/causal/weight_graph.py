"""Effective information of the weights alone: the network as a graph of weighted connections.

A unit's outgoing weights, normalised to sum to 1, are a distribution over the units they lead to.
Determinism is the mean entropy of these distributions, degeneracy the entropy of their mean, and
EI = degeneracy - determinism, zero if all units lead to the same places (Klein and Hoel 2020, "The
emergence of informative higher scales in complex networks", eq. 1). The interface and definitions
are those of torch-foresight. Everything is in bits.

Both are entropies, as in the published code: the more a unit's weights are spread, the larger this
determinism. `causal.determinism`, and `causal.degeneracy` compared with "uniform", are of the
opposite sense, what an entropy lacks to its largest value: EI = determinism - degeneracy there.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from deep_bottleneck.causal.connections import (
    CONNECTING,
    Connections,
    Shape,
    connections_of,
    parts_of,
)
from deep_bottleneck.causal.injection.ranges import ACTIVATIONS
from deep_bottleneck.causal.network.kinds import SCALING, is_keras
from deep_bottleneck.causal.network.modules import (
    evaluating,
    is_packed,
    modules_of,
    tensors_in,
)
from deep_bottleneck.information.arrays import BITS_PER_NAT

Norm = Callable[[torch.Tensor], torch.Tensor]
Shapes = Mapping[Any, tuple[Shape, Shape]]

_LARGEST_MATRIX = 2**27


class WeightGraphMeasures(NamedTuple):
    """What the weights of a network or a layer are like, in bits.

    Attributes:
        ei: H(<W_out>) - <H(W_out)>.
        determinism: <H(W_out)>.
        degeneracy: H(<W_out>).
    """

    ei: float
    determinism: float
    degeneracy: float


def H(x: torch.Tensor, dim: int = 0) -> torch.Tensor:  # noqa: N802 - the name torch-foresight uses
    """Shannon entropy along one axis, H = -sum x log2 x.

    Args:
        x: probabilities, floats of any shape; it is not checked that they sum to 1. Negative
            values count as zero.
        dim: the axis to sum over.

    Returns:
        A tensor without that axis, in bits.
    """
    kept = x.clamp(min=0)
    return -torch.xlogy(kept, kept).sum(dim=dim) * BITS_PER_NAT


def lin_norm(W: torch.Tensor) -> torch.Tensor:  # noqa: N803 - the name torch-foresight uses
    """Negative weights set to zero, and each row divided by its sum; a row of zeros stays.

    Args:
        W: shape (n_inputs, n_outputs).

    Returns:
        Of the same shape.
    """
    return _rows_of_one(W.relu())


def soft_norm(W: torch.Tensor) -> torch.Tensor:  # noqa: N803 - the name torch-foresight uses
    """The softmax of each row, in which a missing connection is a weight of 0.

    Args:
        W: shape (n_inputs, n_outputs).

    Returns:
        Of the same shape.
    """
    return W.softmax(dim=1)


def sig_norm(W: torch.Tensor) -> torch.Tensor:  # noqa: N803 - the name torch-foresight uses
    """The logistic function of each weight, and each row divided by its sum.

    Args:
        W: shape (n_inputs, n_outputs).

    Returns:
        Of the same shape.
    """
    return _rows_of_one(W.sigmoid())


def get_shapes(
    model: Any,
    input: Any = None,  # noqa: A002
    keywords: Mapping[str, Any] | None = None,
) -> dict[Any, tuple[Shape, Shape]]:
    """The shapes of the input and output of each layer that has connections.

    Args:
        model: a `torch.nn.Module`, or a Sequential or Functional Keras model, with the models
            inside it.
        input: a valid input to the network; not needed for a Keras model.
        keywords: further inputs by their names.

    Returns:
        From linear, embedding, convolution, attention, recurrent and average pooling layers to the
        shapes of their first input and output, with the batch.

    Raises:
        TypeError: if the model is neither.
        ValueError: if a Keras model has no graph, or a module has no weights yet.

    Warns:
        UserWarning: if layers with weights are left out.
    """
    if is_keras(model):
        from deep_bottleneck.causal.keras_connections import connecting_shapes

        return connecting_shapes(model)
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected a torch.nn.Module or a Keras model, got {type(model).__name__}")
    shapes: dict[Any, tuple[Shape, Shape]] = {}

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        given, found = tensors_in((args, kwargs))[0], tensors_in(output)[0]
        shapes.setdefault(module, (tuple(given.shape), tuple(found.shape)))
        if isinstance(module, nn.MultiheadAttention):
            shapes.setdefault(module.out_proj, (tuple(found.shape), tuple(found.shape)))

    modules = modules_of(model)
    handles = [
        module.register_forward_hook(note, with_kwargs=True)
        for module in modules
        if isinstance(module, CONNECTING)
    ]
    try:
        with evaluating(model):
            model(*(input if isinstance(input, tuple) else (input,)), **(keywords or {}))
    finally:
        for handle in handles:
            handle.remove()
    names = {module: name for name, module in model.named_modules()}
    left_out = [
        f"{names[module]} ({type(module).__name__})"
        for module in modules
        if not isinstance(module, (*CONNECTING, *ACTIVATIONS, *SCALING))
        and (is_packed(module) or any(True for _ in module.parameters()))
    ]
    if left_out:
        warnings.warn(f"left out of the weight graph: {', '.join(left_out)}", stacklevel=2)
    return shapes


def create_matrix(module: Any, in_shape: Shape, out_shape: Shape) -> torch.Tensor:
    """The connections through a layer as a matrix, a row for each unit before it.

    Args:
        module: a layer with a single set of connections, as for `get_shapes`.
        in_shape: the shape of its input, with the batch.
        out_shape: the shape of its output, with the batch.

    Returns:
        Float64, shape (n_inputs, n_outputs), without gradient.

    Raises:
        TypeError: if the layer has no such connections, or several sets of them.
        ValueError: if it does not match the shapes.
    """
    return connections_of(module, in_shape, out_shape).matrix().detach()


# torch-foresight has a function for each kind of layer
linear_create_matrix = conv2d_create_matrix = avgpool2d_create_matrix = create_matrix


def determinism(
    model: Any,
    input: Any = None,  # noqa: A002
    shapes: Shapes | None = None,
    norm: Norm | None = lin_norm,
    device: torch.device | str = "cpu",
) -> float:
    """The mean entropy of the outgoing weights of a unit, <H(W_out)>.

    It is 0 where every unit leads to a single other one, the opposite sense of
    `causal.determinism`, which is log2 n - H.

    Args:
        model: a network, as for `get_shapes`.
        input: a valid input to it; not needed with shapes, or for a Keras model.
        shapes: what `get_shapes` returned, or a part of it to look at these layers alone.
        norm: makes each row of a matrix of weights a distribution; None to take them as they are.
        device: where to compute.

    Returns:
        The determinism in bits.

    Raises:
        TypeError: if a layer has no weight graph.
        ValueError: if neither an input nor shapes are given.
    """
    return measures_of(model, input, shapes, norm, device).determinism


def degeneracy(
    model: Any,
    input: Any = None,  # noqa: A002
    shapes: Shapes | None = None,
    norm: Norm | None = lin_norm,
    device: torch.device | str = "cpu",
) -> float:
    """The entropy of the mean outgoing weights, H(<W_out>), over all units they lead to.

    It is largest where all units are led to alike, the opposite sense of `causal.degeneracy`
    compared with "uniform", which is log2 n - H.

    Args:
        model: as for `determinism`.
        input: as for `determinism`.
        shapes: as for `determinism`.
        norm: as for `determinism`.
        device: as for `determinism`.

    Returns:
        The degeneracy in bits; 0 if no unit has any weight.

    Raises:
        TypeError: if a layer has no weight graph.
        ValueError: if neither an input nor shapes are given.
    """
    return measures_of(model, input, shapes, norm, device).degeneracy


def ei(
    model: Any,
    input: Any = None,  # noqa: A002
    shapes: Shapes | None = None,
    norm: Norm | None = lin_norm,
    device: torch.device | str = "cpu",
) -> float:
    """The effective information of the weights, H(<W_out>) - <H(W_out)>.

    Args:
        model: as for `determinism`.
        input: as for `determinism`.
        shapes: as for `determinism`.
        norm: as for `determinism`.
        device: as for `determinism`.

    Returns:
        Degeneracy - determinism in bits.

    Raises:
        TypeError: if a layer has no weight graph.
        ValueError: if neither an input nor shapes are given.
    """
    return measures_of(model, input, shapes, norm, device).ei


def measures_of(
    model: Any,
    input: Any = None,  # noqa: A002
    shapes: Shapes | None = None,
    norm: Norm | None = lin_norm,
    device: torch.device | str = "cpu",
) -> WeightGraphMeasures:
    """All measures of the weights at once.

    Args:
        model: as for `determinism`.
        input: as for `determinism`.
        shapes: as for `determinism`.
        norm: as for `determinism`.
        device: as for `determinism`.

    Returns:
        What `ei`, `determinism` and `degeneracy` return, in bits.

    Raises:
        TypeError: if a layer has no weight graph.
        ValueError: if neither an input nor shapes are given.
    """
    graph = _graph_of(model, input, shapes, norm, device)
    of_mean, mean = _entropy_of_mean(graph), graph.entropy / graph.n_units
    return WeightGraphMeasures(of_mean - mean, mean, of_mean)


class _Graph(NamedTuple):
    """The sum of the entropies of all units' outgoing weights, what arrives at each unit."""

    entropy: float
    n_units: int
    arriving: torch.Tensor


def _graph_of(
    model: Any,
    input: Any,  # noqa: A002
    shapes: Shapes | None,
    norm: Norm | None,
    device: torch.device | str,
) -> _Graph:
    if shapes is None:
        if input is None and not is_keras(model):
            raise ValueError("pass either an input to the network, or the shapes get_shapes gives")
        shapes = get_shapes(model, input)
    if not shapes:
        raise ValueError("the network has no layer with connections: Linear, convolution, pooling")
    parts = [
        _part(connections, norm)
        for layer, in_and_out in shapes.items()
        for connections in parts_of(layer, *in_and_out, device)
    ]
    return _Graph(
        sum(part.entropy for part in parts),
        sum(part.n_units for part in parts),
        torch.cat([part.arriving for part in parts]),
    )


def _part(connections: Connections, norm: Norm | None) -> _Graph:
    weight = connections.weight
    if norm is lin_norm:
        return _without_matrix(connections, weight.relu(), 0.0)
    if norm is soft_norm:
        largest = weight.max().clamp(min=0.0)  # of the missing connections' weights of 0 as well
        return _without_matrix(connections, (weight - largest).exp(), float((-largest).exp()))
    if norm is sig_norm:
        return _without_matrix(connections, weight.sigmoid(), 0.5)
    size = connections.n_inputs * connections.n_outputs
    if size > _LARGEST_MATRIX:
        raise ValueError(
            f"the norm {norm} needs a layer's whole matrix, and {connections.n_inputs} x "
            f"{connections.n_outputs} is too large: use lin_norm, soft_norm or sig_norm"
        )
    matrix = connections.matrix()
    matrix = matrix if norm is None else norm(matrix)
    return _Graph(float(H(matrix, dim=1).sum()), len(matrix), matrix.sum(dim=0))


def _without_matrix(connections: Connections, weight: torch.Tensor, missing: float) -> _Graph:
    """The graph of non-negative weights whose rows are divided by their sums.

    With rows f / R, H = log2 R - sum f log2 f / R. All sums over a row are those over its
    connections, of how much they exceed a missing one, and those of a row without connections.

    Args:
        connections: the layer.
        weight: its weights, made non-negative.
        missing: the weight of two units that are not connected.
    """
    n_outputs = connections.n_outputs
    excess = weight - missing
    logarithms = torch.xlogy(weight, weight) * BITS_PER_NAT
    of_missing = torch.tensor(missing, dtype=weight.dtype, device=weight.device)
    of_missing = torch.xlogy(of_missing, of_missing) * BITS_PER_NAT
    total = connections.leaving(excess) + n_outputs * missing
    terms = connections.leaving(logarithms - of_missing) + n_outputs * of_missing
    used = total > 0
    share = torch.where(used, 1 / total.masked_fill(~used, 1.0), 0.0)
    entropy = total.masked_fill(~used, 1.0).log2() - terms * share
    arriving = connections.arriving(excess, share) + missing * share.sum()
    return _Graph(float(entropy.clamp(min=0.0).sum()), len(total), arriving)


def _entropy_of_mean(graph: _Graph) -> float:
    total = graph.arriving.sum()
    return float(H(graph.arriving / total)) if total != 0 else 0.0


def _rows_of_one(weight: torch.Tensor) -> torch.Tensor:
    total = weight.sum(dim=1, keepdim=True)
    return weight / total.masked_fill(total == 0, 1.0)
