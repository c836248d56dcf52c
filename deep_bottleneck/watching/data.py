"""What a network is watched on: examples in whatever form the network takes them, and labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from deep_bottleneck.errors import DataError
from deep_bottleneck.interfaces import FloatArray, IntArray

LABELS = "labels"


@dataclass(frozen=True)
class Examples:
    """Inputs of a network, each with the examples on its first axis.

    Attributes:
        positional: what the network is called with by position.
        keywords: and by keyword.
        mask: which positions of each example count, shape (n_examples, ...), None for all.
    """

    positional: tuple[torch.Tensor, ...]
    keywords: Mapping[str, torch.Tensor]
    mask: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self._tensors[0])

    def __getitem__(self, chosen: Any) -> "Examples":
        """Some of the examples, by a slice or by their places."""
        return Examples(
            tuple(tensor[chosen] for tensor in self.positional),
            {name: tensor[chosen] for name, tensor in self.keywords.items()},
            None if self.mask is None else self.mask[chosen],
        )

    def batches(self, size: int) -> Iterator["Examples"]:
        """All examples in their order, so many at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def flat(self) -> FloatArray:
        """All that a network gets of each example: float32, shape (n_examples, input_size)."""
        real = [torch.view_as_real(t) if t.is_complex() else t for t in self._tensors]
        flattened = [tensor.reshape(len(self), -1).float().cpu() for tensor in real]
        return torch.cat(flattened, dim=1).numpy()

    def min(self) -> float:
        """The smallest number that a network gets."""
        return float(min(tensor.min() for tensor in self._tensors))

    def max(self) -> float:
        """The largest."""
        return float(max(tensor.max() for tensor in self._tensors))

    @property
    def _tensors(self) -> list[torch.Tensor]:
        return [*self.positional, *self.keywords.values()]


@dataclass(frozen=True)
class WatchedData:
    """Examples and what they are labelled.

    Attributes:
        examples: what the network gets.
        labels: the class of each example, int64, shape (n_examples,); zeros where there are none.
        n_classes: how many classes there are; 1 where there are no labels.
        targets: the labels as they were given, for a loss; None where there are none.
    """

    examples: Examples
    labels: IntArray
    n_classes: int
    targets: torch.Tensor | None = None

    def few(self, at_most: int | None, seed: int) -> "WatchedData":
        """So many of the examples at most, in their order: always the same of the same seed."""
        n_examples = len(self.labels)
        if at_most is None or n_examples <= at_most:
            return self
        drawn = np.random.default_rng(seed).choice(n_examples, at_most, replace=False)
        chosen = np.sort(drawn)
        rows = torch.from_numpy(chosen)
        targets = None if self.targets is None else self.targets[rows]
        return replace(
            self, examples=self.examples[rows], labels=self.labels[chosen], targets=targets
        )


def read_data(data: Any, mask: Any = None) -> WatchedData:
    """Examples and labels out of what users have.

    Args:
        data: inputs, or (inputs, labels): inputs are an array or a tensor, a tuple or list of
            several, or a dictionary of keyword inputs, of which "labels" are the labels. Or a
            `Dataset` or a `DataLoader` of these, which is read once.
        mask: which positions count: an array of shape (n_examples, n_positions), or the name of
            the keyword input that says it.

    Raises:
        DataError: if it is something else, inputs and labels are not of the same examples, or
            labels are not one class for each example.
    """
    inputs, labels = _divided(_collated(data) if _is_stream(data) else data)
    is_named = isinstance(inputs, Mapping)
    by_name = inputs if is_named else {}
    several = inputs if isinstance(inputs, tuple | list) else [inputs]
    positional = () if is_named else tuple(map(_tensor, several))
    keywords = {name: _tensor(values) for name, values in by_name.items()}
    tensors = [*positional, *keywords.values()]
    if not tensors:
        raise DataError("data has no inputs: give an array, a tensor or a dictionary of them")
    lengths = {len(tensor) if tensor.ndim else 0 for tensor in tensors}
    if len(lengths) > 1:
        raise DataError(f"the inputs of data are of {_listed(lengths)} examples, should be of one")
    (n_examples,) = lengths
    if n_examples < 2:
        raise DataError(f"data has {n_examples} examples, and nothing can be said of fewer than 2")
    examples = Examples(positional, keywords, _mask(mask, keywords, n_examples))
    if labels is None:
        return WatchedData(examples, np.zeros(n_examples, np.int64), 1)
    numbers = _classes(labels, n_examples)
    are_words = not isinstance(labels, torch.Tensor) and np.asarray(labels).dtype.kind not in "biuf"
    targets = torch.from_numpy(numbers) if are_words else _tensor(labels)
    return WatchedData(examples, numbers, int(numbers.max()) + 1, targets)


def _divided(data: Any) -> tuple[Any, Any]:
    """Inputs, and labels if there are some."""
    if isinstance(data, Mapping):
        return {name: data[name] for name in data if name != LABELS}, data.get(LABELS)
    if isinstance(data, tuple | list):
        if len(data) != 2:
            raise DataError(
                f"data is a {type(data).__name__} of {len(data)}, should be inputs, or "
                "(inputs, labels); several inputs are a tuple inside, ((a, b), labels)"
            )
        inputs, labels = data
        if isinstance(inputs, Mapping) and LABELS in inputs and labels is None:
            return _divided(inputs)
        return inputs, labels
    return data, None


def _is_stream(data: Any) -> bool:
    """Whether data is read example by example, or batch by batch."""
    is_whole = isinstance(data, Mapping | tuple | list) or hasattr(data, "__array__")
    return not is_whole and (hasattr(data, "__iter__") or hasattr(data, "__getitem__"))


def _collated(data: Any) -> Any:
    """All that a `Dataset` or a `DataLoader` gives, as one."""
    if isinstance(data, torch.utils.data.DataLoader):
        loader = data
    elif hasattr(data, "__getitem__"):
        loader = torch.utils.data.DataLoader(data, batch_size=1024)
    else:
        loader = data
    batches = list(loader)
    if not batches:
        raise DataError("data gives no examples")
    return _joined(batches)


def _joined(batches: Sequence[Any]) -> Any:
    first = batches[0]
    if isinstance(first, Mapping):
        return {name: _joined([batch[name] for batch in batches]) for name in first}
    if isinstance(first, tuple | list):
        return tuple(_joined(parts) for parts in zip(*batches, strict=True))
    tensors = [_tensor(batch) for batch in batches]
    shapes = {tuple(tensor.shape[1:]) for tensor in tensors}
    if len(shapes) > 1:
        raise DataError(
            f"the batches of data have examples of the shapes {_listed(shapes)}, should be of one: "
            "pad them to one length, and give a mask"
        )
    return torch.cat(tensors)


def _tensor(values: Any) -> torch.Tensor:
    """A tensor as it is; an array's numbers in single precision, as networks have them."""
    if isinstance(values, torch.Tensor):
        return values.detach()
    try:
        array = np.asarray(values)
        tensor = torch.as_tensor(array)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"data has a {type(values).__name__} where an array or a tensor should be: {error}"
        ) from None
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def _mask(mask: Any, keywords: Mapping[str, torch.Tensor], n_examples: int) -> torch.Tensor | None:
    if mask is None:
        return None
    if isinstance(mask, str):
        if mask not in keywords:
            known = _listed(keywords) if keywords else "none"
            raise DataError(f"mask names {mask!r}, but the keyword inputs of data are {known}")
        mask = keywords[mask]
    found = _tensor(mask).bool()
    if found.ndim < 2 or len(found) != n_examples:
        raise DataError(
            f"mask has the shape {tuple(found.shape)}, should be ({n_examples}, positions)"
        )
    if not found.flatten(1).any(dim=1).all():
        raise DataError("mask leaves an example without any position")
    return found


def _classes(labels: Any, n_examples: int) -> IntArray:
    """The number of each example's class, in the order of the labels."""
    given = labels.detach().cpu() if isinstance(labels, torch.Tensor) else labels
    array = np.asarray(given)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n_examples,):
        raise DataError(
            f"labels have the shape {array.shape}, should be one class for each of the "
            f"{n_examples} examples, the shape ({n_examples},)"
        )
    if array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
        raise DataError(
            "labels should be classes, got numbers such as "
            f"{array[array != np.round(array)][0]:g}: bin them first, or leave them out"
        )
    _, numbers = np.unique(array, return_inverse=True)
    return numbers.astype(np.int64)


def _listed(values: Any) -> str:
    return ", ".join(map(str, sorted(values)))
