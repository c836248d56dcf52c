"""The protocols and value objects that everything else agrees on. Imports nothing of ours."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    # each takes longer to import than most commands take to run
    import keras
    import torch
    from matplotlib.figure import Figure

FloatArray = np.ndarray[Any, np.dtype[np.float32]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
Bits = np.ndarray[Any, np.dtype[np.float64]]

Part = Literal["train", "test", "full"]
# what training says of each epoch
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class LabelledDataset:
    """Examples with their class labels.

    Attributes:
        examples: float32, shape (n_examples, ...).
        labels: int64, shape (n_examples,), from 0 to n_classes - 1.
        one_hot_labels: float32, shape (n_examples, n_classes).
        class_names: what the classes are called, in their order; none where they are numbers from 0
            without other names.
    """

    examples: FloatArray
    labels: IntArray
    one_hot_labels: FloatArray
    class_names: tuple[str, ...] = ()

    @classmethod
    def from_labels(
        cls,
        examples: np.ndarray[Any, Any],
        labels: "np.ndarray[Any, Any] | pd.Series[Any] | pd.Categorical",
        n_classes: int,
        classes: Sequence[Any] | None = None,
    ) -> "LabelledDataset":
        """Examples and labels of any kind, with the one-hot labels derived.

        Numbers from 0 to n_classes - 1 are the classes' own. Numbers in a row from elsewhere, words
        and truth values are numbered in ascending order, and categories of pandas in theirs, if
        each class is among the labels. Where it may be missing, as from a small test part, say all
        of them as `classes`, so that all parts are numbered alike.

        Args:
            examples: numbers, shape (n_examples, ...).
            labels: shape (n_examples,).
            n_classes: the number of classes.
            classes: what the labels of all classes are, in the order of the classes' numbers.

        Raises:
            ValueError: if it cannot be known which class a label stands for, or the examples are no
                array of numbers.
        """
        given = np.asarray(labels)
        if given.dtype.kind == "S":
            given = np.char.decode(given, "utf-8")
        if given.ndim != 1:
            raise ValueError(f"labels should be one for each example, got the shape {given.shape}")
        known = list(_known_classes(labels, given, n_classes) if classes is None else classes)
        if len(known) != n_classes:
            raise ValueError(
                f"labels should be of {n_classes} classes, got {len(known)}: "
                f"{', '.join(map(str, known[:10]))}; say all of them as classes"
            )
        numbers = pd.Index(known).get_indexer(pd.Index(given)).astype(np.int64)
        if (numbers < 0).any():
            raise ValueError(f"labels should be {_listed(known)}, got {given[numbers < 0][0]}")
        names = () if known == list(range(n_classes)) else tuple(map(str, known))
        one_hot = np.eye(n_classes, dtype=np.float32)[numbers]
        try:
            values = np.ascontiguousarray(examples, dtype=np.float32)
        except (TypeError, ValueError) as error:
            kind = type(examples).__name__
            raise ValueError(
                f"examples should be one array of numbers, got a {kind} ({error})"
            ) from error
        return cls(values, numbers, one_hot, names)

    def __len__(self) -> int:
        return len(self.labels)

    def selected(self, chosen: IntArray) -> "LabelledDataset":
        """Some of the examples, by their places or as flags of shape (n_examples,)."""
        one_hot = self.one_hot_labels[chosen]
        return LabelledDataset(
            self.examples[chosen], self.labels[chosen], one_hot, self.class_names
        )


@dataclass(frozen=True)
class Dataset:
    """A data set, split for training and testing.

    Attributes:
        train: the training part.
        test: the test part, with the same classes.
        n_classes: the number of classes.
    """

    train: LabelledDataset
    test: LabelledDataset
    n_classes: int

    @classmethod
    def from_labelled_subset(
        cls,
        train_examples: np.ndarray[Any, Any],
        train_labels: np.ndarray[Any, Any],
        test_examples: np.ndarray[Any, Any],
        test_labels: np.ndarray[Any, Any],
        n_classes: int,
    ) -> "Dataset":
        """A data set of both parts' examples and labels; see `LabelledDataset.from_labels`.

        Raises:
            ValueError: as there.
        """
        return cls(
            LabelledDataset.from_labels(train_examples, train_labels, n_classes),
            LabelledDataset.from_labels(test_examples, test_labels, n_classes),
            n_classes,
        )

    def __post_init__(self) -> None:
        """Make a number of classes that NumPy counted one like any other."""
        object.__setattr__(self, "n_classes", np.asarray(self.n_classes).tolist())

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called, in their order."""
        return self.train.class_names or tuple(map(str, range(self.n_classes)))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return tuple(self.train.examples.shape[1:])

    @property
    def input_size(self) -> int:
        """How many numbers one example has."""
        return int(np.prod(self.input_shape))


def _known_classes(labels: Any, given: np.ndarray[Any, Any], n_classes: int) -> Sequence[Any]:
    """The labels of all classes in the order of their numbers, as far as labels tell."""
    if isinstance(getattr(labels, "dtype", None), pd.CategoricalDtype):
        return list(labels.dtype.categories)
    kind = pd.api.types.infer_dtype(given, skipna=False)
    if kind == "string":
        return sorted(set(given))
    if kind == "boolean":
        return [False, True]
    if kind not in ("integer", "floating", "mixed-integer-float", "integer-na", "empty"):
        raise ValueError(
            "labels should be numbers, words, truth values or categories, and none of them "
            f"missing, got {kind} ones"
        )
    distinct = np.unique(given)
    in_a_row = len(distinct) == n_classes and distinct[-1] - distinct[0] == n_classes - 1
    first = int(distinct[0]) if in_a_row else 0
    return range(first, first + n_classes)


def _listed(classes: Sequence[Any]) -> str:
    if classes == list(range(len(classes))):
        return f"whole numbers from 0 to {len(classes) - 1}"
    return f"one of {', '.join(map(str, classes[:10]))}"


class LayerOutput(NamedTuple):
    """What a place of a network, one call of a layer with weights, gives for one example.

    Attributes:
        name: the layer's name, after those of what it is nested in, with the number of a further
            call: "block.dense_2".
        shape: the shape of its output, before it is flattened to units.
        neuron_axis: which axis of that shape counts the neurons; all others are positions. None if
            it cannot be known.
    """

    name: str
    shape: tuple[int, ...]
    neuron_axis: int | None

    @property
    def n_units(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)

    @property
    def n_positions(self) -> int:
        """How many times each neuron is there; each number is a position where that is unknown."""
        return self.n_units // (1 if self.neuron_axis is None else self.shape[self.neuron_axis])


class RunGroup(Protocol):
    """Runs that train together, as a recorder sees them."""

    layer_outputs: list[LayerOutput]

    @property
    def runs(self) -> list[int]:
        """The runs that trained in the current epoch."""
        ...

    @property
    def models(self) -> "Sequence[keras.Model]":
        """The models of those runs, with their current weights."""
        ...

    def example(self, row: int) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Inputs to run a model with, by place and by keyword; none if it knows their shapes."""
        ...

    def layers(self, row: int) -> Sequence[Any]:
        """The layer of each place, in the model of the run at this position in `runs`."""
        ...

    def activations(self, examples: FloatArray) -> list[FloatArray]:
        """The output of each place, shape (runs, n_examples, n_units)."""
        ...

    def outputs(self, examples: FloatArray) -> "Sequence[torch.Tensor | FloatArray]":
        """The same, as tensors on the device that computed them where the backend is torch."""
        ...

    def gradients(self, epoch: int) -> Iterator[list[FloatArray]]:
        """For each of an epoch's batches the gradient of each place's kernels, as `kernels`."""
        ...

    def kernels(self) -> list[FloatArray]:
        """The kernels of each place, shape (runs, n_weights)."""
        ...


class Activations(Protocol):
    """What was recorded of one part of the data, read epoch by epoch and layer by layer."""

    @property
    def labels(self) -> IntArray:
        """The label of each example, shape (n_examples,)."""
        ...

    @property
    def examples(self) -> FloatArray:
        """The inputs, flattened: float32, shape (n_examples, input_size)."""
        ...

    @property
    def epochs(self) -> Sequence[int]:
        """The epochs that were completely written, ascending."""
        ...

    @property
    def n_layers(self) -> int:
        """How many layers were recorded."""
        ...

    @property
    def layer_names(self) -> Sequence[str]:
        """What each layer is called; "" where the recording does not say."""
        ...

    def runs(self, epoch: int) -> IntArray:
        """The runs that were still training at this epoch."""
        ...

    def layer(self, epoch: int, layer: int) -> FloatArray:
        """Activations of those runs, shape (runs, n_examples, n_units)."""
        ...


@dataclass(frozen=True)
class LayerInformation:
    """Mutual information of one layer at one epoch, in bits, one number for each run.

    A value that is not defined is NaN, and `reasons` say why.

    Attributes:
        mi_xm: I(X;M), shape (runs,).
        mi_ym: I(Y;M), shape (runs,).
        ceiling: the largest I(X;M) that the method could have answered for so many examples, if
            all of them were different; tables say H(X) where that is smaller.
        error_xm: the standard error of `mi_xm`, shape (runs,), where the method has one.
        error_ym: the standard error of `mi_ym`, shape (runs,), where the method has one.
        reasons: why values are NaN, one sentence each; a sentence is the same wherever the reason
            is, so that the log can say it once.
    """

    mi_xm: Bits
    mi_ym: Bits
    ceiling: float
    error_xm: Bits | None = None
    error_ym: Bits | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """What an estimator does, in the words that stand on its tables and pictures.

    Attributes:
        name: the method, such as "binning".
        parameter: its free parameter with its value, such as "bin width 0.07"; "" if it has none.
        bounds: what the estimate is to the information it stands for, such as "upper bound".
        geometric: whether compression it shows in a deterministic network is geometric: whether
            representations come closer together than the parameter, while the true I(X;M) is
            constant or infinite (Goldfeld et al. 2019, "Estimating information flow in deep neural
            networks", section 2).
    """

    name: str
    parameter: str = ""
    bounds: str = "estimate"
    geometric: bool = False

    def __str__(self) -> str:
        """The method with its parameter."""
        return f"{self.name}, {self.parameter}" if self.parameter else self.name


class MutualInformationEstimator(ABC):
    """Estimates how much a layer's representation M says about the input X and the label Y.

    Attributes:
        fitted_to_inputs: whether `fitted` looks at no more of a recording than its examples and
            labels, so that an epoch can be measured before the next is there.
        takes_tensors: whether activations and examples may be torch tensors as well, on any device,
            on which the estimator then works; one that does not gets arrays.
        order: the order of Rényi's entropy in which it measures, 1 for Shannon's.
    """

    fitted_to_inputs: ClassVar[bool] = False
    takes_tensors: ClassVar[bool] = False
    order: float = 1.0

    @property
    def method(self) -> Method:
        """What this estimator does, for tables and pictures."""
        return Method(type(self).__name__)

    def fitted(self, activations: Activations) -> "MutualInformationEstimator":
        """An estimator for this recording, for a method that needs to see all of it first.

        Args:
            activations: what was recorded of one part of the data, all epochs and layers.

        Returns:
            The estimator whose `for_runs(runs).for_layer(layer).estimate` is called for each epoch
            and layer.
        """
        del activations
        return self

    def for_runs(self, runs: IntArray) -> "MutualInformationEstimator":
        """The estimator for some runs, for a method that treats runs differently.

        Args:
            runs: the numbers of the runs whose activations `for_layer(layer).estimate` gets, in
                their order.
        """
        del runs
        return self

    def for_layer(self, layer: int) -> "MutualInformationEstimator":
        """The estimator for one layer, for a method that treats layers differently."""
        del layer
        return self

    @abstractmethod
    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """Estimate I(X;M) and I(Y;M) of one layer at one epoch.

        Args:
            activations: float32, shape (runs, n_examples, n_units).
            labels: int64, shape (n_examples,).

        Returns:
            I(X;M) and I(Y;M) in bits.

        Raises:
            EstimationError: if neither measure is defined for these activations.
        """


class TableName(str):
    """What a table of information is called: its part, after the estimator's name if it has one.

    Attributes:
        estimator: the estimator's name, "" for the only one of an experiment.
        part: the part of the data.
    """

    estimator: str
    part: Part

    def __new__(cls, estimator: str, part: Part) -> "TableName":
        """The name of the table of an estimator and a part of the data."""
        name = super().__new__(cls, f"{estimator}_{part}" if estimator else part)
        name.estimator, name.part = estimator, part
        return name


@dataclass(frozen=True)
class Results:
    """What an experiment has left for plotters to read.

    Attributes:
        tables: mutual information as `measuring.estimation.estimate` gives it, by the part of the
            data ("train", "test", "full"), or "<estimator>_<part>" where there are several; the
            columns module, discretization_range and options say besides how a config names the
            estimator.
        metrics: loss and accuracy with the columns run, epoch, loss, accuracy, val_loss,
            val_accuracy.
        plot_median: whether to summarise runs by their median instead of their mean.
        stored: every table by the name of its artifact, those that callbacks left among them.
        recordings: the recorded activations by the part of the data, for plotters that say
            `NEEDS_ACTIVATIONS = True` beside their `load`; readable while plotters draw.
    """

    tables: Mapping[TableName, pd.DataFrame]
    metrics: pd.DataFrame
    plot_median: bool = False
    stored: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    recordings: Mapping[Part, Activations] = field(default_factory=dict)


class Drawing(Protocol):
    """What a plotter draws that is no Matplotlib figure, such as a movie or a page."""

    @property
    def suffix(self) -> str:
        """How the names of its files end, such as ".mp4"."""
        ...

    def save(self, path: Path) -> None:
        """Write it into a file."""
        ...


class BasePlotter(ABC):
    """Draws the results of an experiment."""

    @abstractmethod
    def plot(self, results: Results) -> "Mapping[str, Figure | Drawing]":
        """Figures, or drawings of other kinds, by the name of the artifact each is stored as."""


class ArtifactRecord(Protocol):
    """Where an experiment's files go."""

    def add_artifact(self, filename: str, name: str) -> None:
        """Store a copy of a file under a name."""
        ...


class Record(ArtifactRecord, Protocol):
    """Where an experiment's numbers and files go; a Sacred run is one."""

    def log_scalar(self, name: str, value: float, step: int) -> None:
        """Append a value to the series of a metric."""
        ...


class TableRecord(Protocol):
    """Where a callback leaves a table for the record and for plotters."""

    def append(self, name: str, rows: pd.DataFrame) -> None:
        """Write rows of a table that still grows, so that they outlive a kill."""
        ...

    def add(self, name: str, table: pd.DataFrame) -> None:
        """Store a table as the artifact of this name; plotters find it in `Results.stored`."""
        ...


class Status(StrEnum):
    """How an experiment is doing or has ended; a stored record may hold other words of Sacred."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"
    TIMEOUT = "TIMEOUT"
    LOST = "LOST"
    """It has ended in the middle, without a word."""
    INVALID = "INVALID"
    """Its config is wrong."""
    NOT_STARTED = "NOT STARTED"


class State(StrEnum):
    """How a task of a launch is doing: the status of its experiment, or what else is known."""

    QUEUED = Status.QUEUED.lower()
    RUNNING = Status.RUNNING.lower()
    COMPLETED = Status.COMPLETED.lower()
    FAILED = Status.FAILED.lower()
    INTERRUPTED = Status.INTERRUPTED.lower()
    TIMEOUT = Status.TIMEOUT.lower()
    LOST = Status.LOST.lower()
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    RESUBMITTED = "resubmitted"
    """It is in a later launch as well, which tells how it is doing."""


@dataclass(frozen=True)
class Job:
    """One experiment to launch.

    Attributes:
        name: what the user sees, usually the config's path.
        config: the config file.
        updates: hyperparameters to change, each as `key=value`.
        continues: the record of an unfinished experiment to go on from, None to start anew.
    """

    name: str
    config: Path
    updates: tuple[str, ...] = ()
    continues: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """How one launched experiment ended.

    Attributes:
        job: the experiment that was launched.
        experiment_id: the id of its record, None where none was made.
        status: one of `Status`, or another word that its record says.
        seconds: wall-clock time.
    """

    job: Job
    experiment_id: str | None
    status: str
    seconds: float


@dataclass(frozen=True)
class LaunchOptions:
    """What a command says about launching, whatever the launcher.

    Attributes:
        experiment_script: the script that runs one experiment.
        name: what the experiments are called together.
        output: where the launch keeps its scripts, logs and reports, in a folder of its own.
        runs: the folder of the local record.
        at_a_time: how many experiments may run at a time, None for the launcher's own choice.
        profile: name or path of a profile of resources, None for the launcher's own.
        resources: resources that differ from the profile, each as `key=value`.
        submit_args: further arguments of the scheduler's submit command.
        snapshot: whether to run a copy of the code as it is now.
    """

    experiment_script: Path
    name: str
    output: Path
    runs: Path
    at_a_time: int | None = None
    profile: str | None = None
    resources: tuple[str, ...] = ()
    submit_args: tuple[str, ...] = ()
    snapshot: bool = False


@dataclass(frozen=True)
class Listed:
    """A task in the list of a queue.

    Attributes:
        state: queued or running.
        remark: the queue's own word where something is wrong, or "".
    """

    state: State
    remark: str = ""


Listing = Mapping[tuple[str, int], Listed]
"""What a queue lists, by the number of the job and of the task in it."""


class Queue(Protocol):
    """What holds the experiments of a launcher once they are launched: a scheduler of a cluster.

    A launch is a job, by the number that its `Submission` has; its experiments are the job's tasks,
    numbered from 1.

    Attributes:
        name: what people call it.
    """

    name: str

    def listed(self) -> Listing:
        """The tasks that wait or run; those of other people may be among them.

        Raises:
            ConfigError: if it cannot be asked on this machine.
            SchedulerError: if it does not answer.
        """
        ...

    def ended(self, job: str) -> Mapping[int, str]:
        """What is known of a job's tasks that have ended: how each did, "" where well."""
        ...

    def cancel(self, job: str) -> None:
        """End all tasks of a job.

        Raises:
            SchedulerError: if it refuses.
        """
        ...


class Launcher(Protocol):
    """Runs experiments somewhere: here, or on a cluster.

    Beside the `load` that gives one, its module says how launches are followed: `QUEUE`, a `Queue`,
    is what they wait and run in; `WAITS = True` is that they last until all their experiments have
    ended, so that what is silent after that is lost. Where a module says neither, an experiment
    that does not tell how it is doing is unknown.
    """

    def preview(self, jobs: Sequence[Job]) -> str:
        """What `launch` would do, as text; "" where there is nothing to say."""
        ...

    def launch(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run or submit all jobs; one that fails does not stop the others.

        Returns:
            How each ended; nothing where they were submitted and run later.
        """
        ...
