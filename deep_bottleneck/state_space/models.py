"""Captures attached to a whole network, PyTorch or Keras."""

from pathlib import Path
from typing import Any

from torch import nn

from deep_bottleneck.state_space.axes import ChannelAxis, ChosenAxes
from deep_bottleneck.state_space.matching import LayerMatcher, LayerSelection, Method
from deep_bottleneck.state_space.torch_network import attach_captures


def build_efficiency_model(
    model: Any,
    attach_to: LayerSelection,
    exclude: LayerSelection = (),
    method: str = "after",
    storage_path: str | Path | None = None,
    evaluation_only: bool = False,
    *,
    channel_axis: ChannelAxis = None,
) -> Any:
    """Attach state captures to layers of a network.

    A PyTorch module gets forward hooks and is returned itself. Of a Keras model a new one is
    returned, with `StateCapture` layers inserted, in nested models too, and all weights shared; it
    can be saved, loaded and cloned. Either way captures that an earlier call attached are replaced,
    the captures are in the model's `efficiency_layers`, and its outputs do not change. They are
    called `<layer>_pre_states` and `<layer>_post_states` for PyTorch, `<layer>_pre_states` and
    `<layer>_states` for Keras. A layer that the network calls again is a place of its own at each
    call, `<layer>_post_states_2` at the second; of several outputs in a tuple the first is
    captured.

    Which axis counts the neurons is found by the layers with weights, and after them by what they
    hand on. Where that cannot be known, an error asks for `channel_axis`.

    In PyTorch, what `torch.compile` has compiled before is compiled again; what `torch.jit` has
    traced or scripted calls no hooks, and cannot be captured.

    Example:
        >>> network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> network = build_efficiency_model(network, attach_to=["Linear"], exclude=["2"])
        >>> [capture.name for capture in network.efficiency_layers]
        ['0_post_states']

    Args:
        model: a `torch.nn.Module`, or a Functional or Sequential `keras.Model`.
        attach_to: types or names of layers, or one of them.
        exclude: types or names of layers to leave out of these.
        method: "before", to capture what goes into a layer, "after" or "both".
        storage_path: a folder to keep all raw states in, compressed; None to keep counts only. They
            are complete there once the process has ended, or after `flush` of each capture.
        evaluation_only: whether to let what passes in training mode go unrecorded.
        channel_axis: the axis of the neurons, for all of these layers or by the name or type of a
            layer, such as `{"Rearrange": -1}`.

    Raises:
        TypeError: if the model is of another kind.
        ValueError: if the method is unknown, a layer that was asked for does not exist or is inside
            of what `torch.jit` compiled, or, with Keras, the axis of its neurons cannot be known
            (PyTorch asks when the first input passes).
    """
    matcher, axes = LayerMatcher(attach_to, exclude), ChosenAxes(channel_axis)
    place = Method.parse(method)
    if _is_keras_model(model):
        from deep_bottleneck.state_space.keras_network import with_captures

        return with_captures(model, matcher, place, axes, storage_path, evaluation_only)
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected a torch.nn.Module or a keras.Model, got {type(model).__name__}")
    attach_captures(model, matcher, place, axes, storage_path, evaluation_only)
    return model


def reset_efficiency_model(model: Any) -> None:
    """Forget the states that all captures of a model hold.

    Args:
        model: a model that `build_efficiency_model` returned.

    Raises:
        TypeError: if it has no captures.
    """
    if not hasattr(model, "efficiency_layers"):
        raise TypeError(
            f"{type(model).__name__} has no captures: pass what build_efficiency_model returned"
        )
    for capture in model.efficiency_layers:
        capture.reset_states()


def _is_keras_model(model: Any) -> bool:
    """Whether it is a Keras model, told without importing Keras."""
    return any(
        kind.__module__.split(".")[0] == "keras" and kind.__name__ == "Model"
        for kind in type(model).__mro__
    )
