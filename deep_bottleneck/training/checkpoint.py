"""Where training is, in one file, so that another process can go on as if nothing had happened.

The file is HDF5 behind a block of 512 bytes, which HDF5 leaves to its user: a line with the version
of the format and the SHA-256 of all that follows. The dataset `state` holds the state as JSON; the
other datasets hold its arrays, as `plain_values` describes. Nothing in it is code, no byte of it
can change unseen, and what has changed is not given to HDF5.
"""

import hashlib
import io
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

import h5py
import keras
import numpy as np
import torch
from pydantic import ConfigDict, Field, TypeAdapter

from deep_bottleneck.errors import RecordError
from deep_bottleneck.machine.whole_file import write_whole
from deep_bottleneck.training.plain_values import Packing, Unpacking

VERSION = 1
_HEADER_BYTES = 512
_HEADER = re.compile(rb"deep-bottleneck checkpoint (\d{1,9}), SHA-256 ")
_STATE = "state"
# what may come of content that was not written here, though its checksum is right
_NOT_OURS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)

Run = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Checkpoint:
    """The state of training between two epochs.

    Attributes:
        epoch: the epoch to go on with.
        rows: the runs that are stacked, or the one that trains alone.
        training: those runs that still train.
        waiting: runs that have not begun, where one trains after the other.
        models: for each run the values of its weights and of its optimizer's variables.
        callbacks: what the callbacks of each run that still trains have gathered.
        recorders: what the recorders have gathered.
        made_by: the classes of the recorders, and of the callbacks of all runs.
        logged: name, value and step of the metrics logged so far.
        random: the states of Python's, NumPy's and torch's global generators.
    """

    __pydantic_config__: ClassVar = ConfigDict(
        strict=True, arbitrary_types_allowed=True, revalidate_instances="always"
    )

    epoch: Annotated[int, Field(ge=0)]
    rows: tuple[Run, ...]
    training: tuple[Run, ...]
    waiting: tuple[Run, ...] = ()
    models: tuple[list[np.ndarray[Any, Any]], ...] = ()
    callbacks: tuple[tuple[dict[str, Any], ...], ...] = ()
    recorders: tuple[dict[str, Any], ...] = ()
    made_by: tuple[str, ...] = ()
    logged: tuple[tuple[str, Any, Any], ...] = ()
    random: tuple[Any, Any, Any] = field(default_factory=lambda: _random_state())

    @property
    def is_complete(self) -> bool:
        """Whether all training has ended."""
        return not self.training and not self.waiting

    def is_of(self, models: Sequence[keras.Model]) -> bool:
        """Whether it is of such models: as many, with variables of the same shapes."""
        runs = range(len(models))
        shapes = [[value.shape for value in values] for values in self.models]
        return shapes == [
            [tuple(variable.shape) for variable in _variables(model)] for model in models
        ] and all(run in runs for run in (*self.rows, *self.training, *self.waiting))

    def restore_models(self, models: Sequence[keras.Model]) -> None:
        """Give each model its weights and its optimizer's variables, and set the generators."""
        for model, values in zip(models, self.models, strict=True):
            for variable, value in zip(_variables(model), values, strict=True):
                variable.assign(value)
        python, numpy_state, torch_state = self.random
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)


_SCHEMA = TypeAdapter(Checkpoint)


def write(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint in place of the one before, so that a kill leaves one of the two."""
    packing = Packing()
    # not `asdict`, which copies all arrays
    values = {one.name: getattr(checkpoint, one.name) for one in fields(checkpoint)}
    # of millions of epochs, perhaps
    values["logged"] = [list(column) for column in zip(*checkpoint.logged, strict=True)]
    state = {name: packing.node(value) for name, value in values.items()}
    content = io.BytesIO()
    with h5py.File(content, "w", userblock_size=_HEADER_BYTES) as file:
        file[_STATE] = np.bytes_(json.dumps(state))
        for name, array in packing.arrays.items():
            file[name] = array
    content.seek(0)
    content.write(_header(content.getbuffer()))
    write_whole(path, content.getvalue())


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        RecordError: if it cannot be read, is damaged, or is something else than a checkpoint as
            this version writes them.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror})") from None
    begins = _HEADER.match(content)
    if begins is None:
        raise RecordError(f"{path} is no checkpoint, or is damaged")
    if int(begins[1]) != VERSION:
        raise RecordError(f"{path} was written by another version of deep-bottleneck")
    if content[:_HEADER_BYTES] != _header(content):
        raise RecordError(f"{path} is damaged: its checksum is not that of its content")
    try:
        return _unpacked(content)
    except _NOT_OURS as error:
        reason = " ".join(str(error).split())
        raise RecordError(f"{path} is no checkpoint of deep-bottleneck ({reason})") from None


def state_of(model: keras.Model) -> list[Any]:
    """The values of a model's weights and of its optimizer's variables."""
    if hasattr(model, "jax_state_sync"):
        # whoever trains a model on JAX keeps its values until they are asked for
        model.jax_state_sync()
    values = [variable.value for variable in _variables(model)]
    return [np.asarray(keras.ops.convert_to_numpy(value)) for value in values]


def _header(content: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(memoryview(content)[_HEADER_BYTES:]).hexdigest()
    line = f"deep-bottleneck checkpoint {VERSION}, SHA-256 {digest}"
    return line.ljust(_HEADER_BYTES - 1).encode() + b"\n"


def _unpacked(content: bytes) -> Checkpoint:
    with h5py.File(io.BytesIO(content), "r") as file:
        arrays = {name: _dataset(file, name) for name in file}
    unpacking = Unpacking(arrays)
    state = json.loads(bytes(arrays.pop(_STATE)))
    values = {name: unpacking.value(state[name]) for name in state}
    values["logged"] = tuple(zip(*values["logged"], strict=True))
    checkpoint = _SCHEMA.validate_python(Checkpoint(**values))
    # whether these are states of generators shows when one takes them
    python, numpy_state, torch_state = checkpoint.random
    random.Random().setstate(python)  # noqa: S311
    np.random.RandomState().set_state(numpy_state)
    torch.Generator().set_state(torch_state)
    return checkpoint


def _dataset(file: h5py.File, name: str) -> Any:
    """The values of a dataset.

    Raises:
        ValueError: if they do not lie in the file itself, one after the other.
    """
    dataset, link = file[name], file.get(name, getlink=True)
    layout = dataset.id.get_create_plist().get_layout()
    is_here = isinstance(link, h5py.HardLink) and dataset.external is None
    if not is_here or layout != h5py.h5d.CONTIGUOUS:
        raise ValueError(f"{name} holds no values")
    return dataset[()]


def _variables(model: keras.Model) -> list[Any]:
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _random_state() -> tuple[Any, Any, Any]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
