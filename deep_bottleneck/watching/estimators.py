"""The estimators of a watch: named in short, and left without labels where there are none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from deep_bottleneck.config import Config
from deep_bottleneck.config.components import in_folder
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import (
    Activations,
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)
from deep_bottleneck.measuring.estimators import EstimatorPlugIn, can_stream, estimator_plug_ins


def named_estimators(given: str | Sequence[Any]) -> list[Any]:
    """Estimators as a config names them, from the short form "binning=0.5".

    Args:
        given: "name" or "name=parameter", with a path where there is a dot in the name, or an entry
            of a config; or a list of these.

    Raises:
        ConfigError: if a parameter is no number.
    """
    return [_entry(one) for one in ([given] if isinstance(given, str) else given)]


def watching_estimators(
    entries: Sequence[Any], values: Mapping[str, Any], is_labelled: bool
) -> dict[str, EstimatorPlugIn]:
    """The estimators by the name that their tables carry, "" for the only one.

    Args:
        entries: as a config names them.
        values: what they may ask for, by name.
        is_labelled: whether there are labels.

    Raises:
        ConfigError: if one cannot be loaded, or looks at all epochs before it measures one.
    """
    plug_ins = estimator_plug_ins(Config.parse({"estimator": list(entries)}, "watch"))
    found = {}
    for name, plug_in in plug_ins.items():
        if not can_stream(plug_in.load(values)):
            raise ConfigError(
                f"{name} looks at all epochs before it measures one, which a watch has not: use "
                "it in an experiment, or name another estimator"
            )
        key = name if len(plug_ins) > 1 else ""
        found[key] = plug_in if is_labelled else _UnlabelledPlugIn(**vars(plug_in))
    return found


def _entry(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    name, has_parameter, text = given.partition("=")
    path = in_folder("estimator", name.strip())
    if not has_parameter:
        return path
    try:
        return [path, float(text)]
    except ValueError:
        raise ConfigError(
            f'estimators has {given!r}, should be a name and a number, such as "binning=0.5"'
        ) from None


class _UnlabelledPlugIn(EstimatorPlugIn):
    """An estimator of I(X;M) alone."""

    def load(self, values: Mapping[str, Any]) -> MutualInformationEstimator:
        return _Unlabelled(super().load(values))


class _Unlabelled(MutualInformationEstimator):
    """Says nothing of I(Y;M)."""

    def __init__(self, estimator: MutualInformationEstimator) -> None:
        self._estimator = estimator
        self.order = estimator.order
        self.takes_tensors = estimator.takes_tensors  # type: ignore[misc]

    @property
    def method(self) -> Method:
        return self._estimator.method

    def fitted(self, activations: Activations) -> MutualInformationEstimator:
        return _Unlabelled(self._estimator.fitted(activations))

    def for_runs(self, runs: IntArray) -> MutualInformationEstimator:
        return _Unlabelled(self._estimator.for_runs(runs))

    def for_layer(self, layer: int) -> MutualInformationEstimator:
        return _Unlabelled(self._estimator.for_layer(layer))

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        found = self._estimator.estimate(activations, labels)
        unknown = np.full(len(found.mi_xm), math.nan)
        return replace(found, mi_ym=unknown, error_ym=None)
