"""The hyperparameters of an experiment: names, types, defaults and checks."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from deep_bottleneck.config.dataset_options import DatasetOptions
from deep_bottleneck.config.entries import (
    Callbacks,
    ChosenEstimator,
    Dataset,
    Entry,
    EstimatorEntry,
    Estimators,
    Model,
    Number,
    Plotters,
    PositiveFinite,
    estimator_names,
)
from deep_bottleneck.config.messages import checked
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Part

Activation = Literal[
    "tanh",
    "relu",
    "sigmoid",
    "softsign",
    "softplus",
    "leaky_relu",
    "hard_sigmoid",
    "selu",
    "relu6",
    "elu",
    "linear",
]
Backend = Literal["jax", "torch", "tensorflow"]
Count = Annotated[int, Field(strict=True, gt=0, le=10**7)]

_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,2})?")
OLD_PART_NAMES = {"training": "train", "full_dataset": "full"}


def _as_parts(value: Any) -> Any:
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return value
    return tuple(
        OLD_PART_NAMES.get(part, part) if isinstance(part, str) else part for part in parts
    )


def _as_device(value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise ValueError('should be "auto", "cpu", "cuda" or one of several such as "cuda:1"')
    return value


def _as_folder(value: str) -> str:
    if value.lower() in ("true", "false"):
        raise ValueError(f"should be {value.title()} on a command line, or a folder")
    return value


Folder = Annotated[str, Field(min_length=1), AfterValidator(_as_folder)]


def _check_named_once(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"should name {name} only once")


REPORTS = (Entry(path="plotter.trust"),)
# keys that configs of earlier years have: what said nothing, and what to write instead of the rest
_GONE = {"regularization": (False, '"max_norm_weights" limits the weights')}


class Config(BaseModel):
    """All hyperparameters of one experiment; each field is a key of the JSON config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: Count = Field(1000, description="how often to see the data")
    batch_size: Count = Field(256, description="examples for each step")
    steps_per_epoch: Count | None = Field(
        None, description="batches in an epoch; null for one pass over the data"
    )
    architecture: tuple[Count, ...] = Field(
        (10, 7, 5, 4, 3), description="units of the hidden layers"
    )
    activation_fn: Activation = Field("tanh", description="activation of the hidden layers")
    optimizer: Literal["sgd", "adam"] = Field("adam", description="the training algorithm")
    learning_rate: PositiveFinite = Field(0.0004, description="step size of the optimizer")
    max_norm_weights: Literal[False] | PositiveFinite = Field(
        False, description="largest norm of a unit's incoming weights; false for no limit"
    )
    initial_bias: Number = Field(0.0, description="every bias at the start")
    quantize_bits: Annotated[int, Field(strict=True, ge=1, le=16)] | None = Field(
        None,
        description="bits that each activation keeps, so that information is exact; null for no "
        "quantisation",
    )
    model: Model = Field("models.feedforward", description="import path of the model")
    dataset: Dataset = Field(
        "datasets.harmonics",
        description="import path of the data set, with its options if it has any",
    )
    dataset_options: DatasetOptions = Field(
        DatasetOptions(),
        description="how many examples to keep, of which classes, the share of training labels to "
        "replace by random ones, and whether images become vectors",
    )
    discretization_range: PositiveFinite | None = Field(
        None,
        description="the estimator's free parameter: width or number of bins, variance of the "
        "noise, number of neighbours, width of the kernels or factor of the bandwidth; null for "
        "the estimator's own default",
    )
    estimator: Estimators = Field(
        ("mi_estimator.binning",),
        validate_default=True,
        description="import path of the MI estimator, or a list of several",
    )
    calculate_mi_for: Annotated[tuple[Part, ...], BeforeValidator(_as_parts)] = Field(
        ("train", "test"),
        description="parts of the data to measure; with none, no activations are recorded",
    )
    callbacks: Callbacks = Field((), description="callbacks besides the recorders")
    plotters: Plotters = Field(
        ("plotter.informationplane",), validate_default=True, description="what to draw"
    )
    plot_median: bool = Field(
        False, strict=True, description="draw the median over runs instead of the mean"
    )
    svg: bool = Field(False, strict=True, description="store each picture as SVG as well")
    n_runs: Count = Field(1, description="networks to train")
    backend: Backend = Field(
        "jax",
        description="what Keras trains on: jax trains all runs together, the others one after the "
        "other",
    )
    device: Annotated[str, AfterValidator(_as_device)] = Field(
        "auto",
        description="where to train and measure: auto (a visible GPU, else the CPU), cpu, cuda or "
        "one of several such as cuda:1",
    )
    keep_activations: Annotated[bool, Field(strict=True)] | Folder = Field(
        False,
        description="whether to keep the recorded activations, or a folder to keep them in; "
        "otherwise they are forgotten once they are measured",
    )
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] | None = Field(
        None, description="where all randomness starts; drawn and recorded when null"
    )

    @field_serializer("estimator")
    def _estimator_as_written(self, entries: tuple[EstimatorEntry, ...]) -> Any:
        written = [entry.as_written() for entry in entries]
        return written[0] if written == [entries[0].path] else written

    @field_validator("estimator")
    @classmethod
    def _estimators_differ(
        cls, entries: tuple[EstimatorEntry, ...], others: ValidationInfo
    ) -> tuple[EstimatorEntry, ...]:
        if not entries:
            raise ValueError("should name at least one estimator")
        default = others.data.get("discretization_range")
        names = estimator_names([entry.resolved(default) for entry in entries])
        _check_named_once(names)
        return entries

    @field_validator("calculate_mi_for")
    @classmethod
    def _parts_differ(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        _check_named_once(parts)
        return parts

    @property
    def estimators(self) -> dict[str, ChosenEstimator]:
        """The estimators by a name that tells them apart."""
        chosen = [entry.resolved(self.discretization_range) for entry in self.estimator]
        return dict(zip(estimator_names(chosen), chosen, strict=True))

    @property
    def dataset_entry(self) -> Entry:
        """The data set, with the arguments of its entry if it has any."""
        return self.dataset if isinstance(self.dataset, Entry) else Entry(path=self.dataset)

    @property
    def plotters_and_reports(self) -> tuple[Entry, ...]:
        """The plotters, and what is drawn besides wherever information is measured."""
        return (*self.plotters, *(REPORTS if self.calculate_mi_for else ()))

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters by name, as plug-ins may ask for them."""
        return self.model_dump(exclude={"callbacks", "plotters"})

    @classmethod
    def parse(cls, values: Mapping[str, Any], source: str = "the config") -> "Config":
        """Check keys, types and ranges.

        Args:
            values: the keys that differ from the defaults.
            source: where they come from, for error messages.

        Raises:
            ConfigError: one sentence for each mistake, with the key, the value and what would be
                right.
        """
        for key, (nothing, instead) in _GONE.items():
            if values.get(key, nothing) != nothing:
                raise ConfigError(
                    f'{source}: "{key}" is {values[key]!r} but is no hyperparameter any more; '
                    f"{instead}"
                )
        kept = {key: value for key, value in values.items() if key not in _GONE}
        return checked(cls, kept, source)

    def defaults(self) -> dict[str, Any]:
        """The values in JSON's types; a key without a value of its own is left out."""
        values = self.model_dump(mode="json")
        if values["seed"] is None:
            del values["seed"]
        return values
