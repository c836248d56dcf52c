"""The estimators that a config names, each with its free parameter."""

import contextlib
import logging
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deep_bottleneck.config import Config, components
from deep_bottleneck.config.components import Component
from deep_bottleneck.config.entries import ChosenEstimator
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import MutualInformationEstimator

logger = logging.getLogger(__name__)

ESTIMATOR_VALUES = ("n_classes",)
KNOWN_LATER = (*ESTIMATOR_VALUES, "device")
_PARAMETER = "discretization_range"
# of an estimator that says no default of its own
_BIN_WIDTH = 0.07


@dataclass(frozen=True)
class EstimatorPlugIn:
    """An estimator that a config names, with its free parameter.

    Attributes:
        component: where it is loaded from.
        discretization_range: the parameter.
    """

    component: Component
    discretization_range: float

    @property
    def own_default(self) -> float:
        """The parameter that the estimator has where a config gives none."""
        return _own_default(self.component)

    @property
    def has_parameter(self) -> bool:
        """Whether the estimator asks for the parameter at all."""
        return self.component.wants(_PARAMETER)

    @property
    def module(self) -> str:
        """The last part of its path."""
        return self._chosen.module

    @property
    def columns(self) -> dict[str, str | float]:
        """What tables say of it: module, discretization_range (NaN for none) and options."""
        options = "_".join(f"{name}_{value}" for name, value in self.component.keywords.items())
        parameter = self.discretization_range if self.has_parameter else math.nan
        return {"module": self.module, "discretization_range": parameter, "options": options}

    @property
    def entry(self) -> str:
        """The module, with the parameter and the options if it has any."""
        return self._chosen.full_name if self.has_parameter else self.module

    @property
    def _chosen(self) -> ChosenEstimator:
        component = self.component
        return ChosenEstimator(component.path, self.discretization_range, component.keywords)

    def check(self, hyperparameters: Mapping[str, Any]) -> None:
        """Load the estimator on trial, if it needs no more than the hyperparameters for that.

        Raises:
            ConfigError: if it needs an argument that nobody supplies, refuses one that it gets, or
                is no estimator.
        """
        self.component.check({*hyperparameters, *ESTIMATOR_VALUES})
        if not any(map(self.component.wants, KNOWN_LATER)):
            self.load(hyperparameters)

    def load(self, values: Mapping[str, Any]) -> MutualInformationEstimator:
        """The estimator, out of the values it may ask for by name.

        Raises:
            ConfigError: if it refuses the parameter, or is no estimator.
        """
        with_parameter = {**values, _PARAMETER: self.discretization_range}
        return self.component.load_as(MutualInformationEstimator, with_parameter)

    def varied(
        self, values: Mapping[str, Any], factors: Mapping[str, float]
    ) -> dict[str, MutualInformationEstimator]:
        """The same estimator with its parameter multiplied by these factors, by their names.

        A parameter that has to be a whole number is rounded up. One that the estimator refuses,
        such as half of the fewest bins there may be, is left out.
        """
        if not self.has_parameter:
            return {}
        found = {}
        for name, factor in factors.items():
            parameter = factor * self.discretization_range
            for possible in (parameter, math.ceil(parameter)):
                if name in found or possible == self.discretization_range:
                    continue
                with contextlib.suppress(ConfigError):
                    found[name] = replace(self, discretization_range=possible).load(values)
        return found


def estimator_plug_ins(config: Config) -> dict[str, EstimatorPlugIn]:
    """The estimators of a config by their name.

    Raises:
        ConfigError: if one cannot be imported, needs an argument that nobody supplies, refuses one
            that it gets, or is there twice because its own default is given as well.
    """
    found = {}
    for name, (path, parameter, keywords) in config.estimators.items():
        component = components.find("estimator", path, keywords=keywords)
        found[name] = EstimatorPlugIn(component, _parameter(component, parameter))
        found[name].check(config.hyperparameters)
    entries = Counter((plug_in.component.path, plug_in.entry) for plug_in in found.values())
    for (_, entry), times in entries.items():
        if times > 1:
            raise ConfigError(f'"estimator" should name {entry} only once')
    return found


def _parameter(component: Component, given: float | None) -> float:
    """The free parameter: the one given, or the estimator's own where that means nothing to it."""
    own = _own_default(component)
    if given is None:
        return own
    if given != getattr(component.module, "IGNORED_PARAMETER", None):
        return given
    logger.warning(
        '"%s": %s does not look at %g, the bin width that earlier configs give for every '
        "estimator, and takes its own default, %g",
        _PARAMETER,
        component.path,
        given,
        own,
    )
    return own


def _own_default(component: Component) -> float:
    default = component.default(_PARAMETER)
    return float(default) if isinstance(default, int | float) else _BIN_WIDTH


def can_stream(estimator: MutualInformationEstimator) -> bool:
    """Whether an estimator can measure an epoch before the next is there."""
    sees_all = type(estimator).fitted is not MutualInformationEstimator.fitted
    return estimator.fitted_to_inputs or not sees_all
