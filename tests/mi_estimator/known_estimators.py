"""Every estimator there is, with the parameter that is its own default."""

import importlib
import inspect
import pkgutil

from deep_bottleneck import mi_estimator
from deep_bottleneck.interfaces import MutualInformationEstimator

MODULES = [
    module
    for info in pkgutil.iter_modules(mi_estimator.__path__)
    if hasattr(module := importlib.import_module(f"{mi_estimator.__name__}.{info.name}"), "load")
]


def name_of(module) -> str:
    return module.__name__.rpartition(".")[2]


def loaded(module) -> MutualInformationEstimator:
    values = {"quantize_bits": 16}
    wanted = [name for name in inspect.signature(module.load).parameters if name in values]
    return module.load(**{name: values[name] for name in wanted})
