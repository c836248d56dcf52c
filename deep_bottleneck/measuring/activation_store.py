"""What was recorded during training, by epoch and layer, in one HDF5 file.

The file is written in HDF5's single-writer-multiple-reader (SWMR) mode: the one mode in which the
file is readable at any moment, by other processes while training goes on, and after the writer was
killed. SWMR allows no new objects once writing has begun, so there is one dataset for each layer
and the epoch is its first, growing axis:

    /epochs                          (epochs,)   the recorded epochs
    /recorded                        (epochs, runs)   which runs were completely written
    /layers                          (layers,)   their names
    /<part>/labels                   (examples,)
    /<part>/examples                 (examples, input_size)   float32, compressed
    /<part>/activations/<layer>      (epochs, runs, examples, units)   float32, compressed
    /gradients/<measure>             (epochs, runs, layers)
    /metrics/<name>                  (all epochs, runs)

A run is marked in /recorded only after its activations have reached the file. What was not written
takes no space and reads as NaN.
"""

import ctypes
import errno
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import h5py
import numpy as np
import pandas as pd

from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import (
    METRICS,
    Activations,
    BoolArray,
    Dataset,
    FloatArray,
    IntArray,
    Part,
)
from deep_bottleneck.machine.disk_space import claim, give_back, require

PARTS = ("train", "test")
GRADIENT_MEASURES = ("mean_norm", "std_norm", "weight_norm")

_NAMES = "layers"
# a quarter of a second for what cannot be read
_ATTEMPTS = 28
# what comes of a file that holds something else than it should
_DAMAGED = (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError)
_CHUNK_BYTES = 4 * 2**20
_COMPRESSION = MappingProxyType({"compression": "gzip", "compression_opts": 1, "shuffle": True})


class _OpenFile:
    """An HDF5 file that is closed at the end of a `with` block."""

    _file: h5py.File

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        except RuntimeError as unwritten:
            # so h5py tells that others have filled the disk meanwhile
            if f"errno = {errno.ENOSPC}," in str(unwritten):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from unwritten
            raise


class ActivationWriter(_OpenFile):
    """Writes a new store; use it as a context manager.

    Several threads may write.
    """

    def __init__(
        self,
        path: Path,
        dataset: Dataset,
        layer_units: Sequence[int],
        n_runs: int,
        epochs: int,
        *,
        layer_names: Sequence[str] = (),
    ) -> None:
        """Create the file and everything in it.

        Args:
            path: the file to create.
            dataset: whose train and test examples are recorded.
            layer_units: units of each recorded layer.
            n_runs: the number of runs.
            epochs: how long they train at most.
            layer_names: what the layers are called; none if they have no names.

        Raises:
            RecordError: if the file cannot be created.
            OSError: if the disk is full, here and wherever something is written: the space is
                taken before, since HDF5 crashes when it cannot write what it holds back.
        """
        self._path = path
        self._one_at_a_time = threading.Lock()
        example_bytes = sum(getattr(dataset, part).examples.nbytes for part in PARTS)
        require(path, example_bytes)
        try:
            self._file = h5py.File(path, "x", libver="latest")
        except OSError as error:
            raise RecordError(f"cannot create the activation store {path}: {error}") from error
        file = self._file
        claim(path, file.id.get_vfd_handle(), example_bytes)
        file.create_dataset("epochs", (0,), np.int64, maxshape=(None,))
        names = list(layer_names) or [""] * len(layer_units)
        file.create_dataset(_NAMES, data=names, dtype=h5py.string_dtype())
        file.create_dataset("recorded", (0, n_runs), np.bool_, maxshape=(None, n_runs))
        for part in PARTS:
            labelled = getattr(dataset, part)
            file.create_dataset(f"{part}/labels", data=labelled.labels)
            file.create_dataset(
                f"{part}/examples",
                data=labelled.examples.reshape(len(labelled), -1),
                **_COMPRESSION,
            )
            for layer, units in enumerate(layer_units):
                _create_growing(
                    file,
                    f"{part}/activations/{layer}",
                    (n_runs, len(labelled), units),
                    **_COMPRESSION,
                )
        for measure in GRADIENT_MEASURES:
            _create_growing(file, f"gradients/{measure}", (n_runs, len(layer_units)))
        for name in METRICS:
            file.create_dataset(
                f"metrics/{name}", (epochs, n_runs), np.float32, fillvalue=np.nan, chunks=True
            )
        file.swmr_mode = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        give_back(self._path)

    def copy(self, path: Path) -> None:
        """Take over all that a store of the same shape holds, of a recording that goes on here.

        Raises:
            RecordError: if it is missing, is damaged or of another shape; nothing is taken then.
        """
        with ActivationStore(path) as store:
            store.check()
            if store.shapes() != _shapes(self._file):
                raise RecordError(f"the activation store {path} is of another experiment")
            with self._writing(path.stat().st_size):
                store.copy_into(self._file)

    def write_activations(
        self, epoch: int, runs: Sequence[int], activations: Mapping[str, Sequence[FloatArray]]
    ) -> None:
        """Write an epoch of some runs.

        Args:
            epoch: the epoch.
            runs: which runs.
            activations: for each part of the data the activations of each layer, of shape (runs,
                n_examples, n_units).
        """
        with self._writing(sum(v.nbytes for layers in activations.values() for v in layers)):
            row = self._row(epoch)
            for part, layers in activations.items():
                for layer, values in enumerate(layers):
                    dataset = self._grown(f"{part}/activations/{layer}", row)
                    for run, one_run in zip(runs, values, strict=True):
                        dataset[row, run] = one_run
            self._file.flush()
            recorded = self._grown("recorded", row)
            recorded[row, list(runs)] = True

    def write_gradients(
        self, epoch: int, runs: Sequence[int], measures: Mapping[str, FloatArray]
    ) -> None:
        """Write an epoch of all `GRADIENT_MEASURES`, each of shape (runs, layers)."""
        with self._writing(sum(values.nbytes for values in measures.values())):
            row = self._row(epoch)
            for name, values in measures.items():
                self._grown(f"gradients/{name}", row)[row, list(runs)] = values

    def write_metrics(self, first_epoch: int, metrics: Mapping[str, FloatArray]) -> None:
        """Write consecutive epochs of metrics, each of shape (epochs, runs), NaN where unknown."""
        with self._writing(sum(values.nbytes for values in metrics.values())):
            for name, values in metrics.items():
                dataset = self._file[f"metrics/{name}"]
                rows = slice(first_epoch, first_epoch + len(values))
                dataset[rows] = np.where(np.isnan(values), dataset[rows], values)

    @contextmanager
    def _writing(self, n_bytes: int) -> Iterator[None]:
        """Let one thread at a time write so much, if there is space, and pass it on to the file."""
        with self._one_at_a_time:
            claim(self._path, self._file.id.get_vfd_handle(), n_bytes)
            yield
            self._file.flush()

    def _row(self, epoch: int) -> int:
        epochs = self._file["epochs"]
        (known,) = np.nonzero(epochs[:] == epoch)
        if len(known):
            return int(known[0])
        epochs.resize(len(epochs) + 1, axis=0)
        epochs[-1] = epoch
        return len(epochs) - 1

    def _grown(self, name: str, row: int) -> h5py.Dataset:
        dataset = self._file[name]
        if len(dataset) <= row:
            dataset.resize(row + 1, axis=0)
        return dataset


class ActivationStore(_OpenFile):
    """Reads a store, whole or still being written; use it as a context manager."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file.

        Raises:
            RecordError: if it is missing or is no activation store.
        """
        path = Path(path)
        if not path.is_file():
            raise RecordError(f"cannot read the activation store {path}: there is no such file")
        try:
            self._file = _opened(path)
        except OSError as error:
            raise RecordError(f"cannot read the activation store {path}: {error}") from error

    def check(self) -> None:
        """Read all of it once.

        Raises:
            RecordError: if something of it is damaged, or missing.
        """
        try:
            self._file.visititems(_read_through)
            self.metrics()
            self.gradients()
            n_epochs = len(self._file["recorded"])
            for part in PARTS:
                n_examples = len(self._file[f"{part}/labels"])
                for layer, dataset in self._file[f"{part}/activations"].items():
                    if len(dataset) < n_epochs or dataset.shape[2] != n_examples:
                        raise ValueError(f"{part}/activations/{layer} is not complete")
        except _DAMAGED as error:
            raise RecordError(
                f"the activation store {self._file.filename} is damaged ({error})"
            ) from None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """What each of its datasets has for each epoch, or for each example."""
        return _shapes(self._file)

    def copy_into(self, file: h5py.File) -> None:
        """Write everything that grows with epochs into another file that has the same datasets."""

        def copy(name: str, dataset: object) -> None:
            if not isinstance(dataset, h5py.Dataset) or dataset.maxshape == dataset.shape:
                return
            file[name].resize(dataset.shape)
            for row in range(len(dataset)):
                file[name][row] = dataset[row]

        self._file.visititems(copy)
        for name in METRICS:
            file[f"metrics/{name}"][:] = self._file[f"metrics/{name}"][:]

    def part(self, part: Part) -> Activations:
        """The recorded activations of the training examples, the test examples, or all of them."""
        return _PartOfStore(self._file, PARTS if part == "full" else (part,))

    def metrics(self) -> pd.DataFrame:
        """Loss and accuracy of the epochs trained so far.

        Returns:
            Columns run, epoch, loss, accuracy, val_loss, val_accuracy.
        """
        columns = {name: self._file[f"metrics/{name}"][:] for name in METRICS}
        epochs, runs = np.nonzero(np.isfinite(columns["loss"]) | np.isfinite(columns["accuracy"]))
        values = {name: column[epochs, runs] for name, column in columns.items()}
        frame = pd.DataFrame({"run": runs, "epoch": epochs, **values})
        return frame.sort_values(["run", "epoch"], ignore_index=True)

    def gradients(self) -> pd.DataFrame:
        """Norms of the batch gradients' mean and standard deviation, and of the weights.

        Returns:
            Columns run, epoch, layer, name, mean_norm, std_norm, weight_norm.
        """
        epochs = self._file["epochs"][:]
        columns = {name: self._file[f"gradients/{name}"][:] for name in GRADIENT_MEASURES}
        rows, runs, layers = np.nonzero(np.isfinite(columns["weight_norm"]))
        values = {name: column[rows, runs, layers] for name, column in columns.items()}
        names = np.array(_layer_names(self._file, columns["weight_norm"].shape[2]), dtype=object)
        places = {"run": runs, "epoch": epochs[rows], "layer": layers, "name": names[layers]}
        frame = pd.DataFrame({**places, **values})
        return frame.sort_values(["run", "epoch", "layer"], ignore_index=True)


@dataclass(frozen=True)
class _PartOfStore:
    """The examples of one or several parts, one after the other."""

    file: h5py.File
    parts: Sequence[str]

    @cached_property
    def labels(self) -> IntArray:
        """The label of each example, shape (n_examples,)."""
        return np.concatenate([self.file[f"{part}/labels"][:] for part in self.parts])

    @cached_property
    def examples(self) -> FloatArray:
        """The inputs, flattened: float32, shape (n_examples, input_size).

        Raises:
            RecordError: if the store was written before stores kept them.
        """
        names = [f"{part}/examples" for part in self.parts]
        if not all(name in self.file for name in names):
            raise RecordError(
                f"the activation store {self.file.filename} does not hold the examples, which "
                "this estimator needs; run the experiment again to record them"
            )
        return np.concatenate([self.file[name][:] for name in names])

    @cached_property
    def _recorded(self) -> dict[int, tuple[int, BoolArray]]:
        """For each epoch with a complete run its row in the file and the complete runs."""
        recorded = self.file["recorded"][:]
        epochs = self.file["epochs"][: len(recorded)]
        found = {
            int(epoch): (row, complete)
            for row, (epoch, complete) in enumerate(zip(epochs, recorded, strict=True))
            if complete.any()
        }
        return dict(sorted(found.items()))

    @property
    def epochs(self) -> Sequence[int]:
        """The epochs that were completely written for at least one run, ascending."""
        return list(self._recorded)

    @property
    def n_layers(self) -> int:
        """How many layers were recorded."""
        return len(self.file[f"{self.parts[0]}/activations"])

    @property
    def layer_names(self) -> Sequence[str]:
        """What each layer is called; "" where the store was written before stores knew it."""
        return _layer_names(self.file, self.n_layers)

    def runs(self, epoch: int) -> IntArray:
        """The runs whose activations of this epoch were completely written."""
        _, complete = self._recorded[epoch]
        return np.flatnonzero(complete)

    def layer(self, epoch: int, layer: int) -> FloatArray:
        """Activations of those runs, shape (runs, n_examples, n_units)."""
        row, complete = self._recorded[epoch]
        stored = [self.file[f"{part}/activations/{layer}"] for part in self.parts]
        return np.concatenate([dataset[row][complete] for dataset in stored], axis=1)


def _opened(path: Path) -> h5py.File:
    """Open a file that may still be written, or be damaged.

    To read what is just written HDF5 tries again, each time after twice as long, up to for ever.
    h5py passes on no limit, so HDF5 itself is asked for one.
    """
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
    hdf5 = ctypes.CDLL(h5py.h5p.__file__)
    hdf5.H5Pset_metadata_read_attempts(ctypes.c_int64(access.id), ctypes.c_uint(_ATTEMPTS))
    flags = h5py.h5f.ACC_RDONLY | h5py.h5f.ACC_SWMR_READ
    return h5py.File(h5py.h5f.open(os.fsencode(path), flags, access))


def _read_through(_: str, item: object) -> None:
    if isinstance(item, h5py.Dataset):
        for row in range(len(item)):
            item[row]


def _shapes(file: h5py.File) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item.shape[1:] if item.maxshape[0] is None else item.shape

    file.visititems(note)
    return found


def _layer_names(file: h5py.File, n_layers: int) -> list[str]:
    return list(file[_NAMES].asstr()[:]) if _NAMES in file else [""] * n_layers


def _create_growing(
    file: h5py.File, name: str, shape: tuple[int, ...], **compression: object
) -> None:
    """A float dataset that grows by epochs, in chunks of one run's values of an epoch."""
    per_example = int(np.prod(shape[2:])) * 4
    examples = max(1, min(shape[1], _CHUNK_BYTES // max(per_example, 1)))
    file.create_dataset(
        name,
        (0, *shape),
        np.float32,
        maxshape=(None, *shape),
        chunks=(1, 1, examples, *shape[2:]),
        fillvalue=np.nan,
        **compression,
    )
