"""Which axis of an activation counts the neurons? Known, carried on, told, or asked for.

A layer with weights has as many neurons as its weights are long; what comes after it without
weights of its own has the same neurons, on the axis of that length. Where more than one axis would
do, the answer is None, and the user is asked. Axes are counted from the last, -1, so that they are
the same with and without a batch.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from deep_bottleneck.state_space.matching import matches, unknown_layer

ChannelAxis = int | Mapping[str | type, int] | None


class Neurons(NamedTuple):
    """Where the neurons of an activation are.

    Attributes:
        shape: of the activation; a size that is not known is None.
        axis: which of its axes counts the neurons, counted from the last.
    """

    shape: tuple[int | None, ...]
    axis: int


class ChosenAxes:
    """The axes that the user named: one for all layers, or by the name or the type of a layer.

    Args:
        channel_axis: an axis; axes by name, by name of the type or by type; or None.

    Raises:
        TypeError: if it is something else.
    """

    def __init__(self, channel_axis: ChannelAxis) -> None:
        by_layer = channel_axis if isinstance(channel_axis, Mapping) else {}
        for axis in [*by_layer.values(), *([] if by_layer is channel_axis else [channel_axis])]:
            if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int)):
                raise TypeError(
                    "channel_axis takes an axis, or axes by name or type of layer, got "
                    f"{channel_axis!r}"
                )
        self._for_all = None if isinstance(channel_axis, Mapping) else channel_axis
        self._by_layer = dict(by_layer)

    def check(self, layers: Mapping[str, type]) -> None:
        """See that each layer that an axis was named for exists.

        Args:
            layers: the type of each layer by name.

        Raises:
            ValueError: if there is none of a name or type.
        """
        for entry in self._by_layer:
            if not any(matches(entry, name, kind) for name, kind in layers.items()):
                raise ValueError(unknown_layer("channel_axis", entry, layers))

    def of(self, name: str, kind: type) -> int | None:
        """The axis that was named for a layer, by name rather than by type; None if none was."""
        if name in self._by_layer:
            return self._by_layer[name]
        of_type = (axis for entry, axis in self._by_layer.items() if matches(entry, name, kind))
        return next(of_type, self._for_all)


def axis_of_weights(
    shape: tuple[int | None, ...], lengths: Collection[int], carried: int | None
) -> int | None:
    """The axis of what goes into or comes out of a layer, by the lengths of its weights.

    Args:
        shape: of the activation.
        lengths: of all axes of the layer's weights.
        carried: the axis by what came before, which decides where several have such a length.

    Returns:
        The axis, or None if no axis or more than one could be it.
    """
    axes = _axes_of_length(shape, {length for length in lengths if length > 1}, first=1)
    if len(axes) == 1:
        return axes[0]
    return carried if not axes or carried in axes else None


def axis_carried_on(
    shape: tuple[int | None, ...], before: Iterable[Neurons], in_order: bool
) -> int | None:
    """The axis after an operation without weights of its own.

    Args:
        shape: of what comes out.
        before: what is known of its inputs.
        in_order: whether it is known to leave the axes in order if it leaves their number; where it
            is not, the axis must be the only one as long as there are neurons.

    Returns:
        The axis, or None if there is none, or no two inputs agree.
    """
    axes: set[int | None] = set()
    for each in before:
        if in_order and len(each.shape) == len(shape):
            axes.add(each.axis)
            continue
        length = each.shape[each.axis]
        has_batch = each.axis != -len(each.shape)
        found = [] if length is None else _axes_of_length(shape, {length}, first=int(has_batch))
        axes.add(found[0] if len(found) == 1 else None)
    return axes.pop() if len(axes) == 1 else None


def question(name: str, layer: str, shape: tuple[int | None, ...]) -> str:
    """The sentence that asks for an axis which cannot be known."""
    return (
        f"{name} cannot tell which axis of the shape {shape} counts the neurons: pass it as "
        f"channel_axis, such as -1 for the last, or {{{layer!r}: -1}} to build_efficiency_model"
    )


def _axes_of_length(
    shape: tuple[int | None, ...], lengths: Collection[int], first: int
) -> list[int]:
    return [
        axis - len(shape)
        for axis, length in enumerate(shape)
        if axis >= first and length in lengths
    ]
