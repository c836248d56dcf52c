"""How a config names plug-ins: an import path, with or without what its `load` is given."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple, TypeVar

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    model_serializer,
)

from deep_bottleneck.config.components import in_folder

_SMALLEST = float(np.finfo(np.float32).tiny)
_LARGEST = float(np.finfo(np.float32).max)


def _held_by_float32(value: float) -> float:
    """A number that networks can work with: in float32, 1e308 is infinite and 1e-50 is zero."""
    if value and not _SMALLEST <= abs(value) <= _LARGEST:
        raise ValueError(
            f"should be a number that float32 holds, of a size from {_SMALLEST:.2g} to "
            f"{_LARGEST:.2g}"
        )
    return value


Kind = TypeVar("Kind", "Entry", "EstimatorEntry")
Number = Annotated[FiniteFloat, Field(strict=True), AfterValidator(_held_by_float32)]
PositiveFinite = Annotated[FiniteFloat, Field(strict=True, gt=0), AfterValidator(_held_by_float32)]


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

    def resolved(self, default: float | None) -> "ChosenEstimator":
        """The estimator, with this parameter if the entry gives none."""
        own = self.discretization_range
        return ChosenEstimator(self.path, default if own is None else own, self.keywords)


class ChosenEstimator(NamedTuple):
    """An estimator's import path, its free parameter (None for its own default) and its options."""

    path: str
    discretization_range: float | None
    keywords: Mapping[str, Any]

    @property
    def module(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2]

    @property
    def full_name(self) -> str:
        """The module with the parameter and the options."""
        own = self.discretization_range
        parameter = [] if own is None else [f"{own:g}"]
        options = [f"{name}_{value}" for name, value in self.keywords.items()]
        return "_".join([self.module, *parameter, *options])


def estimator_names(chosen: Sequence[ChosenEstimator]) -> list[str]:
    """The module of each estimator, its full name where a module is named more than once."""
    modules = [estimator.module for estimator in chosen]
    return [
        estimator.full_name if modules.count(estimator.module) > 1 else estimator.module
        for estimator in chosen
    ]


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
    if isinstance(value, dict | Entry):
        return value
    raise ValueError('should be "path" or ["path", [arguments], {"name": argument}]')


def _as_path_or_entry(value: Any) -> Any:
    return value if isinstance(value, str) else _as_entry(value)


def _as_estimator(value: Any) -> Any:
    """An estimator as {"path", "discretization_range", "keywords"}, from any form users write."""
    if isinstance(value, str):
        return {"path": value}
    if isinstance(value, list | tuple) and 2 <= len(value) <= 3:
        return dict(zip(("path", "discretization_range", "keywords"), value, strict=False))
    if isinstance(value, dict | EstimatorEntry):
        return value
    raise ValueError('should be "path" or ["path", discretization_range, {"name": option}]')


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _named(key: str, entry: Kind) -> Kind:
    return entry.model_copy(update={"path": in_folder(key, entry.path)})


def _named_dataset(value: str | Entry) -> str | Entry:
    return in_folder("dataset", value) if isinstance(value, str) else _named("dataset", value)


_Callback = Annotated[
    Entry, BeforeValidator(_as_entry), AfterValidator(partial(_named, "callbacks"))
]
_Plotter = Annotated[Entry, BeforeValidator(_as_entry), AfterValidator(partial(_named, "plotters"))]
_Estimator = Annotated[
    EstimatorEntry, BeforeValidator(_as_estimator), AfterValidator(partial(_named, "estimator"))
]
Model = Annotated[str, AfterValidator(partial(in_folder, "model"))]
Dataset = Annotated[str | Entry, BeforeValidator(_as_path_or_entry), AfterValidator(_named_dataset)]
Callbacks = Annotated[tuple[_Callback, ...], BeforeValidator(_listed)]
Plotters = Annotated[tuple[_Plotter, ...], BeforeValidator(_listed)]
Estimators = Annotated[tuple[_Estimator, ...], BeforeValidator(_listed)]
