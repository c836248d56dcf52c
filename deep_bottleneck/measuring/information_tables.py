"""From an activation store to tables of mutual information, through one estimator or several."""

import contextlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from deep_bottleneck.config import Config, components
from deep_bottleneck.config.components import Component
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import MutualInformationEstimator, Part
from deep_bottleneck.machine.environment import INFORMATION, TRUST
from deep_bottleneck.machine.progress import progress
from deep_bottleneck.measuring.activation_store import ActivationStore
from deep_bottleneck.measuring.estimation import estimate
from deep_bottleneck.measuring.tables import Tables
from deep_bottleneck.measuring.trust import VARIATIONS, at_ceiling, trust_report

logger = logging.getLogger(__name__)

ESTIMATOR_VALUES = ("n_classes",)
KNOWN_LATER = (*ESTIMATOR_VALUES, "device")
_PARAMETER = "discretization_range"


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
    def has_parameter(self) -> bool:
        """Whether the estimator asks for the parameter at all."""
        return self.component.wants(_PARAMETER)

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
        loaded = self.component.load({**values, _PARAMETER: self.discretization_range})
        if not isinstance(loaded, MutualInformationEstimator):
            raise ConfigError(
                f'"{self.component.key}": {self.component.path} gave a {type(loaded).__name__}, '
                f"expected a {MutualInformationEstimator.__name__}"
            )
        return loaded

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
        ConfigError: if one cannot be imported, needs an argument that nobody supplies, or refuses
            one that it gets.
    """
    found = {}
    for name, (path, parameter, keywords) in config.estimators.items():
        component = components.find("estimator", path, keywords=keywords)
        found[name] = EstimatorPlugIn(component, parameter)
        found[name].check(config.hyperparameters)
    return found


def measure(
    plug_ins: Mapping[str, EstimatorPlugIn],
    values: Mapping[str, Any],
    store: ActivationStore,
    parts: Sequence[Part],
    tables: Tables,
) -> dict[str, pd.DataFrame]:
    """Estimate mutual information, and how far it can be trusted, with each estimator.

    Every table is stored as soon as it is there: `information_measures_<name>` and
    `trust_<name>`, where the name is that of the part, after the estimator's where that has one.

    Args:
        plug_ins: the estimators by their name, which is "" for the only one of an experiment.
        values: what they may ask for, by name.
        store: what was recorded.
        parts: the parts of the data to measure.
        tables: where the tables go.

    Returns:
        The tables of information by their name.

    Raises:
        ConfigError: as for `EstimatorPlugIn.load`.
    """
    loaded = {name: plug_in.load(values) for name, plug_in in plug_ins.items()}
    measured = {}
    for part in parts:
        recording = store.part(part)
        for estimator_name, estimator in loaded.items():
            name = table_name(estimator_name, part)
            with progress(f"Estimating ({name})", len(recording.epochs)) as bar:
                measured[name] = estimate(estimator, recording, part, bar)
            store_information(name, measured[name], tables)
            variants = plug_ins[estimator_name].varied(values, VARIATIONS)
            report = trust_report(measured[name], estimator, variants, recording, store.metrics())
            store_trust(name, report, tables)
    return measured


def table_name(estimator_name: str, part: Part) -> str:
    """What a table of information is called: its part, after the estimator's name if it has one."""
    return f"{estimator_name}_{part}" if estimator_name else part


def store_information(name: str, table: pd.DataFrame, tables: Tables) -> None:
    """Store a table of information, as `estimate` gives it, and say if it is saturated."""
    tables.add(f"{INFORMATION}{name}", table)
    _say_if_saturated(table)


def store_trust(name: str, report: pd.DataFrame, tables: Tables) -> None:
    """Store the trust report of a table of information."""
    tables.add(f"{TRUST}{name}", report)


def _say_if_saturated(table: pd.DataFrame) -> None:
    known = table.dropna(subset="MI_XM")
    share = at_ceiling(known).mean()
    if share > 0.5:
        row = known.iloc[0]
        logger.warning(
            "%.0f %% of the values of I(X;M) by %s (%s data) are at their ceiling of %.2f bits: "
            "there the method tells all %d examples apart, and can say no more about the layer.",
            100 * share,
            row["estimator"],
            row["part"],
            row["ceiling"],
            row["n_examples"],
        )
