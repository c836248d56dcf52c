"""The hyperparameters of an experiment: names, types, defaults and checks."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_serializer,
)
from pydantic_core import ErrorDetails

from deep_bottleneck.config.dataset_options import DatasetOptions
from deep_bottleneck.config.messages import should
from deep_bottleneck.errors import ConfigError

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
Backend = Literal["torch", "tensorflow", "jax"]
Part = Literal["train", "test", "full"]
PositiveFinite = Annotated[FiniteFloat, Field(strict=True, gt=0)]

Count = Annotated[int, Field(strict=True, gt=0, le=10**7)]

_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,2})?")
_OLD_PART_NAMES = {"training": "train", "full_dataset": "full"}


def _as_parts(value: Any) -> Any:
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return value
    return tuple(
        _OLD_PART_NAMES.get(part, part) if isinstance(part, str) else part for part in parts
    )


def _as_device(value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise ValueError('should be "auto", "cpu", "cuda" or one of several such as "cuda:1"')
    return value


def _as_folder(value: str) -> str:
    if value.lower() in ("true", "false"):
        raise ValueError(f"should be {value.title()} on a command line, or a folder")
    return value


def _as_entry(value: Any) -> Any:
    """A config entry as {"path", "arguments", "keywords"}, from any of the forms users write."""
    if isinstance(value, str):
        return {"path": value}
    if isinstance(value, list | tuple) and value:
        path, *rest = value
        arguments = [item for item in rest if not isinstance(item, dict)]
        keywords = [item for item in rest if isinstance(item, dict)]
        if len(arguments) <= 1 and len(keywords) <= 1:
            positional = arguments[0] if arguments else []
            return {
                "path": path,
                "arguments": positional if isinstance(positional, list | tuple) else [positional],
                "keywords": keywords[0] if keywords else {},
            }
    return value


def _as_estimators(value: Any) -> Any:
    """A list of estimators as {"path", "discretization_range"}, from any form users write."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple):
        return value
    return tuple(_as_estimator(entry) for entry in listed)


def _as_estimator(entry: Any) -> Any:
    if isinstance(entry, str):
        return {"path": entry}
    if isinstance(entry, list | tuple) and 2 <= len(entry) <= 3:
        return dict(zip(("path", "discretization_range", "keywords"), entry, strict=False))
    return entry


Folder = Annotated[str, Field(min_length=1), AfterValidator(_as_folder)]


class EstimatorEntry(BaseModel):
    """An estimator: `"path"` or `["path", discretization_range, {"name": option}]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    discretization_range: PositiveFinite | None = None
    keywords: dict[str, Any] = Field(default_factory=dict)

    @model_serializer
    def as_written(self) -> str | list[Any]:
        """The shortest form a user would write."""
        if self.keywords:
            return [self.path, self.discretization_range, dict(self.keywords)]
        own = self.discretization_range
        return self.path if own is None else [self.path, own]

    def resolved(self, default: float) -> "ChosenEstimator":
        """The estimator, with this parameter if it has none of its own."""
        own = self.discretization_range
        return ChosenEstimator(self.path, default if own is None else own, self.keywords)


class ChosenEstimator(NamedTuple):
    """An estimator's import path, its free parameter and its options."""

    path: str
    discretization_range: float
    keywords: Mapping[str, Any]

    @property
    def module(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2]

    @property
    def full_name(self) -> str:
        """The module with the parameter and the options."""
        options = [f"{name}_{value}" for name, value in self.keywords.items()]
        return "_".join([self.module, f"{self.discretization_range:g}", *options])


def _estimator_names(chosen: Sequence[ChosenEstimator]) -> list[str]:
    """The module of each estimator, its full name where a module is named more than once."""
    modules = [estimator.module for estimator in chosen]
    return [
        estimator.full_name if modules.count(estimator.module) > 1 else estimator.module
        for estimator in chosen
    ]


def _check_named_once(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"should name {name} only once")


class Entry(BaseModel):
    """A plug-in in a list of them: `"path"` or `["path", [arguments], {"name": argument}]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = Field(default_factory=dict)

    @model_serializer
    def as_written(self) -> str | list[Any]:
        """The shortest form a user would write."""
        extras = [extra for extra in (list(self.arguments), dict(self.keywords)) if extra]
        return [self.path, *extras] if extras else self.path


REPORTS = (Entry(path="plotter.trust"),)
PlugIns = tuple[Annotated[Entry, BeforeValidator(_as_entry)], ...]


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
    initial_bias: FiniteFloat = Field(0.0, strict=True, description="every bias at the start")
    quantize_bits: Annotated[int, Field(strict=True, ge=1, le=16)] | None = Field(
        None, description="bits that each activation keeps; null for no quantisation"
    )
    model: str = Field("models.feedforward", description="import path of the model")
    dataset: str = Field("datasets.harmonics", description="import path of the data set")
    dataset_options: DatasetOptions = Field(
        DatasetOptions(), description="size, classes, label noise and shape of the data"
    )
    discretization_range: PositiveFinite = Field(
        0.07,
        description="the estimator's free parameter: width or number of bins, variance of the "
        "noise, number of neighbours, width of the kernels or factor of the bandwidth",
    )
    estimator: Annotated[tuple[EstimatorEntry, ...], BeforeValidator(_as_estimators)] = Field(
        ("mi_estimator.binning",),
        validate_default=True,
        min_length=1,
        description="import path of the MI estimator, or a list of several",
    )
    calculate_mi_for: Annotated[tuple[Part, ...], BeforeValidator(_as_parts)] = Field(
        ("train", "test"),
        description="parts of the data to measure; with none, no activations are recorded",
    )
    callbacks: PlugIns = Field((), description="callbacks besides the recorders")
    plotters: PlugIns = Field(
        ("plotter.informationplane",), validate_default=True, description="what to draw"
    )
    plot_median: bool = Field(
        False, strict=True, description="draw the median over runs instead of the mean"
    )
    svg: bool = Field(False, strict=True, description="store each picture as SVG as well")
    n_runs: Count = Field(1, description="networks to train")
    backend: Backend = Field("torch", description="what Keras trains on")
    device: Annotated[str, AfterValidator(_as_device)] = Field(
        "auto", description="where to train and measure; auto for a visible GPU, else the CPU"
    )
    keep_activations: Annotated[bool, Field(strict=True)] | Folder = Field(
        False, description="keep the recorded activations; a folder for them, or true"
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
        default = others.data.get("discretization_range", 1.0)
        names = _estimator_names([entry.resolved(default) for entry in entries])
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
        return dict(zip(_estimator_names(chosen), chosen, strict=True))

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
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            sentences = _sentences(error.errors(), values)
            raise ConfigError("; ".join(f"{source}: {text}" for text in sentences)) from None

    def defaults(self) -> dict[str, Any]:
        """The values in JSON's types; a key without a value of its own is left out."""
        values = self.model_dump(mode="json")
        if values["seed"] is None:
            del values["seed"]
        return values


def read(path: Path) -> dict[str, Any]:
    """Read a JSON config.

    Raises:
        ConfigError: if the file is missing, is not JSON, is not an object or repeats a key.
    """

    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        repeated = {key for key in keys if keys.count(key) > 1}
        if repeated:
            raise ConfigError(f"{path}: the key {_quoted(sorted(repeated))} stands there twice")
        return dict(pairs)

    try:
        values = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}: not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}: expected a JSON object with hyperparameters, got a {type(values).__name__}"
        )
    return values


def _sentences(errors: Iterable[ErrorDetails], values: Mapping[str, Any]) -> list[str]:
    """One sentence for each key that is wrong; a union of types reports its key once."""
    by_key: dict[str, list[ErrorDetails]] = {}
    for error in errors:
        by_key.setdefault(str(error["loc"][0]), []).append(error)
    return [_sentence(key, found, values.get(key)) for key, found in by_key.items()]


def _sentence(key: str, errors: Sequence[ErrorDetails], value: Any) -> str:
    if errors[0]["type"] == "extra_forbidden" and len(errors[0]["loc"]) == 1:
        hint = _hint(key, Config.model_fields)
        return f'unknown key "{key}" (value {json.dumps(value, default=str)}); {hint}'
    wanted = " or ".join(dict.fromkeys(_wanted(error) for error in errors))
    shown = json.dumps(value, default=str)
    return f'"{key}" is {shown} but {wanted}{_close_choice(key, value)}'


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{close[0]}"?' if close else f"the keys are {', '.join(sorted(known))}"


def _wanted(error: ErrorDetails) -> str:
    if error["loc"][0] == "dataset_options" and len(error["loc"]) > 1:
        option = str(error["loc"][1])
        if error["type"] == "extra_forbidden":
            return f'has an unknown option "{option}"; {_hint(option, DatasetOptions.model_fields)}'
        return f'"{option}" {should(error["msg"])}'
    if error["loc"] == ("dataset_options",):
        return f"should be an object with any of {', '.join(DatasetOptions.model_fields)}"
    if error["type"] == "model_type" and error["loc"][0] == "estimator":
        wanted = 'should be "path" or ["path", discretization_range, {"name": option}]'
    elif error["type"] == "model_type":
        wanted = 'should be "path" or ["path", [arguments], {"name": argument}]'
    else:
        wanted = should(error["msg"])
    position = "".join(f"[{part}]" for part in error["loc"][1:] if isinstance(part, int))
    return f"element {position} {wanted}" if position else wanted


def _close_choice(key: str, value: Any) -> str:
    choices = get_args(Config.model_fields[key].annotation)
    names = [choice for choice in choices if isinstance(choice, str)]
    close = difflib.get_close_matches(value, names, n=1) if isinstance(value, str) else []
    return f'; did you mean "{close[0]}"?' if close else ""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
