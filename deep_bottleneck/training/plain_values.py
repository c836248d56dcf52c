"""Plain values as JSON and arrays, and back again: nothing that is read can be code.

What JSON has stands there as it is; all else as an object with a single key, its kind. Arrays are
put one after the other, those of a type together, and JSON says where each lies; so it does for
lists of nothing but floats, or integers.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

import keras
import numpy as np
import pandas as pd
import torch

Node = Any
"""What `json` writes and reads."""

Arrays = dict[str, np.ndarray[Any, Any]]
"""For each type of number the values of all arrays of that type, of one dimension."""

# the types of numbers that HDF5 knows as well; all others are written as their bytes
_NUMBERS = "biufc"
_BYTES = np.dtype(np.uint8)
_TOO_LARGE = 2**63
_OF_JSON = {str, bool, type(None)}
# where functions may come from: those that compute, and nothing else
_FUNCTIONS: dict[str, tuple[ModuleType, type]] = {
    "keras.ops": (keras.ops, FunctionType),
    "numpy": (np, np.ufunc),
}


class NotPlainError(TypeError):
    """A value that is not plain."""


def is_plain(value: object) -> bool:
    """Whether a value can be packed.

    Plain are numbers, strings, bytes and None; arrays of numbers, strings, times or plain values;
    tensors of torch and of Keras' backend; lists, tuples, dicts, sets, deques and data frames of
    plain values; functions of `keras.ops` and NumPy's of single elements. Of their subclasses none
    is, since nothing says what else they hold.
    """
    try:
        Packing().node(value)
    except (NotPlainError, RecursionError):
        return False
    return True


class Packing:
    """Turns plain values into JSON and keeps their arrays."""

    def __init__(self) -> None:
        self._arrays: dict[str, list[np.ndarray[Any, Any]]] = {}
        self._lengths: dict[str, int] = {}

    @property
    def arrays(self) -> Arrays:
        """The arrays of all values so far."""
        return {name: np.concatenate(pieces) for name, pieces in self._arrays.items()}

    def node(self, value: object) -> Node:
        """The JSON of a value.

        Raises:
            NotPlainError: if the value is not plain.
        """
        kind = type(value)
        if kind in _OF_JSON:
            return value
        if kind in _ENCODERS:
            return _ENCODERS[kind](self, value)
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.asarray(value))}
        if isinstance(value, FunctionType | np.ufunc):
            return {"function": _name_of(value)}
        is_torch = isinstance(value, torch.Tensor)
        if not is_torch and keras.ops.is_tensor(value) and not hasattr(value, "assign"):
            return {"keras": self._of_backend(value)}
        raise NotPlainError(f"a {kind.__name__} is no plain value")

    def _integer(self, value: int) -> Node:
        return value if abs(value) < _TOO_LARGE else {"int": hex(value)}

    def _float(self, value: float) -> Node:
        return value if math.isfinite(value) else {"float": str(value)}

    def _list(self, values: list[Any]) -> Node:
        kinds = set(map(type, values))
        if kinds == {float} or (
            kinds == {int} and all(-_TOO_LARGE < v < _TOO_LARGE for v in values)
        ):
            return {"numbers": self._put(np.array(values))}
        return values if kinds <= _OF_JSON else self._nodes(values)

    def _nodes(self, values: Any) -> list[Node]:
        return [self.node(value) for value in values]

    def _dict(self, value: dict[Any, Any]) -> Node:
        return {"dict": [self._nodes(item) for item in value.items()]}

    def _deque(self, value: deque[Any]) -> Node:
        return {"deque": [value.maxlen, self._nodes(value)]}

    def _bytes(self, value: bytes) -> Node:
        return {"bytes": self._put(np.frombuffer(value, np.uint8))}

    def _array(self, value: np.ndarray[Any, Any]) -> list[Node]:
        """Type and shape of an array, and where it lies."""
        dtype = value.dtype
        if dtype.hasobject:
            if dtype.kind != "O":
                raise NotPlainError(f"an array of {dtype} is no plain value")
            return ["object", list(value.shape), self._nodes(value.ravel())]
        name = next((name for name in (dtype.str, dtype.name) if _names(name, dtype)), None)
        if name is None:
            raise NotPlainError(f"an array of {dtype} is no plain value")
        flat = np.ascontiguousarray(value).reshape(-1)
        return [name, list(value.shape), self._put(flat)]

    def _put(self, flat: np.ndarray[Any, Any]) -> list[Node]:
        """Where an array of one dimension lies: among which, from where, and how many."""
        is_number = flat.dtype.kind in _NUMBERS and flat.dtype.isnative
        stored = flat if is_number else flat.view(np.uint8)
        name = stored.dtype.str.strip("|")
        start = self._lengths.get(name, 0)
        self._lengths[name] = start + stored.size
        self._arrays.setdefault(name, []).append(stored)
        return [name, start, stored.size]

    def _tensor(self, value: torch.Tensor) -> Node:
        is_dense = value.layout == torch.strided and not value.is_quantized
        if value.requires_grad or value.is_meta or not is_dense:
            raise NotPlainError("a tensor with gradients, or not dense, is no plain value")
        here = value.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        dtype = str(value.dtype).removeprefix("torch.")
        place = self._put(here.view(torch.uint8).numpy())
        return {"tensor": [dtype, list(value.shape), str(value.device), place]}

    def _of_backend(self, value: Any) -> list[Node]:
        try:
            return self._array(np.asarray(keras.ops.convert_to_numpy(value)))
        except (TypeError, ValueError) as error:
            raise NotPlainError(str(error)) from None

    def _frame(self, value: pd.DataFrame) -> Node:
        if value.attrs:
            raise NotPlainError("a data frame with attributes is no plain value")
        columns = [self._labels(value.iloc[:, i]) for i in range(value.shape[1])]
        return {"frame": [self._index(value.index), self._index(value.columns), columns]}

    def _index(self, index: pd.Index) -> Node:
        if type(index) is pd.RangeIndex:
            return ["range", [index.start, index.stop, index.step], self.node(index.name)]
        if type(index) is not pd.Index:
            raise NotPlainError(f"a data frame with a {type(index).__name__} is no plain value")
        return ["labels", self._labels(index), self.node(index.name)]

    def _labels(self, values: "pd.Series | pd.Index") -> Node:
        """The values of a column or index: an array, or a list of strings."""
        if isinstance(values.dtype, np.dtype):
            return {"array": self._array(values.to_numpy())}
        if str(values.dtype) == "str":
            return self._nodes(values.tolist())
        raise NotPlainError(f"a data frame of {values.dtype} is no plain value")


class Unpacking:
    """Makes values of JSON and arrays."""

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self._arrays = arrays

    def value(self, node: Node) -> Any:
        """The value of a node.

        Raises:
            KeyError: if the node is of no kind that is known.
            TypeError: if it does not hold what its kind should.
            ValueError: likewise.
        """
        if isinstance(node, list):
            return self._values(node)
        if not isinstance(node, dict):
            return node
        ((kind, held),) = node.items()
        return _DECODERS[kind](self, held)

    def _values(self, nodes: Sequence[Node]) -> list[Any]:
        return [self.value(node) for node in nodes]

    def _dict(self, held: Node) -> dict[Any, Any]:
        return {self.value(key): self.value(value) for key, value in held}

    def _deque(self, held: Node) -> deque[Any]:
        longest, nodes = held
        return deque(self._values(nodes), longest)

    def _array(self, held: Node) -> np.ndarray[Any, Any]:
        name, shape, where = held
        if name == "object":
            array = np.empty(len(where), object)
            for position, value in enumerate(self._values(where)):
                array[position] = value
            return array.reshape(shape)
        dtype = np.dtype(name)
        stored = self._take(where)
        return (stored if stored.dtype == dtype else stored.view(dtype)).reshape(shape)

    def _take(self, where: Node) -> np.ndarray[Any, Any]:
        name, start, size = where
        found = self._arrays[name][start : start + size].copy()
        if found.size != size:
            raise ValueError("an array is shorter than it should be")
        return found

    def _tensor(self, held: Node) -> torch.Tensor:
        name, shape, device, where = held
        dtype = getattr(torch, name)
        if not isinstance(dtype, torch.dtype):
            raise TypeError(f"{name} is no type of tensors")
        stored = self._take(where)
        flat = torch.frombuffer(stored, dtype=dtype) if stored.size else torch.empty(0, dtype=dtype)
        tensor = flat.reshape(shape)
        there = torch.device(device)
        is_gpu = there.type == "cuda" and (there.index or 0) < torch.cuda.device_count()
        return tensor.to(there) if is_gpu else tensor

    def _frame(self, held: Node) -> pd.DataFrame:
        rows, names, columns = held
        index = self._index(rows)
        labels = map(self._labels, columns)
        series = [pd.Series(values, index, dtype=values.dtype) for values in labels]
        frame = pd.DataFrame(dict(enumerate(series)), index)
        frame.columns = self._index(names)
        return frame

    def _index(self, held: Node) -> pd.Index:
        kind, values, name = held
        if kind == "range":
            start, stop, step = values
            return pd.RangeIndex(start, stop, step, name=self.value(name))
        labels = self._labels(values)
        return pd.Index(labels, dtype=labels.dtype, name=self.value(name))

    def _labels(self, node: Node) -> Any:
        if isinstance(node, list):
            return pd.array(self._values(node), dtype="str")
        return self._array(node["array"])


def _names(name: str, dtype: np.dtype[Any]) -> bool:
    """Whether a type of numbers can be found by this name."""
    try:
        return dtype.fields is None and np.dtype(name) == dtype
    except TypeError:
        return False


def _name_of(function: Any) -> str:
    """By which public name a function can be found.

    Raises:
        NotPlainError: if there is none among the functions that may be named.
    """
    name = function.__name__
    for path, (module, kind) in _FUNCTIONS.items():
        if isinstance(function, kind) and getattr(module, name, None) is function:
            return f"{path}.{name}"
    raise NotPlainError(f"the function {name} is no plain value")


def _function(name: str) -> Any:
    path, _, own_name = name.rpartition(".")
    module, kind = _FUNCTIONS[path]
    found = getattr(module, own_name)
    if not isinstance(found, kind):
        raise TypeError(f"{name} is no function that computes")
    return found


_ENCODERS: dict[type, Callable[[Packing, Any], Node]] = {
    int: Packing._integer,
    float: Packing._float,
    bytes: Packing._bytes,
    list: Packing._list,
    tuple: lambda packing, value: {"tuple": packing._nodes(value)},
    set: lambda packing, value: {"set": packing._nodes(value)},
    frozenset: lambda packing, value: {"frozenset": packing._nodes(value)},
    dict: Packing._dict,
    deque: Packing._deque,
    np.ndarray: lambda packing, value: {"array": packing._array(value)},
    torch.Tensor: Packing._tensor,
    pd.DataFrame: Packing._frame,
}
_DECODERS: dict[str, Callable[[Unpacking, Node], Any]] = {
    "int": lambda _, held: int(held, 16),
    "float": lambda _, held: float(held),
    "numbers": lambda unpacking, held: unpacking._take(held).tolist(),
    "bytes": lambda unpacking, held: unpacking._take(held).tobytes(),
    "tuple": lambda unpacking, held: tuple(unpacking._values(held)),
    "set": lambda unpacking, held: set(unpacking._values(held)),
    "frozenset": lambda unpacking, held: frozenset(unpacking._values(held)),
    "dict": Unpacking._dict,
    "deque": Unpacking._deque,
    "array": Unpacking._array,
    "scalar": lambda unpacking, held: unpacking._array(held)[()],
    "tensor": Unpacking._tensor,
    "keras": lambda unpacking, held: keras.ops.convert_to_tensor(unpacking._array(held)),
    "function": lambda _, held: _function(held),
    "frame": Unpacking._frame,
}
