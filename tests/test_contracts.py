"""What every plug-in must have: a load() that is documented and asks only for what exists."""

import importlib
import inspect
import pkgutil

import pytest

import deep_bottleneck
from deep_bottleneck.config import Config
from deep_bottleneck.measuring import estimators
from deep_bottleneck.pipeline import plan

KINDS = {
    # what the entry of a table must say
    "datasets": ("path", "label"),
    "models": plan.MODEL_VALUES,
    "mi_estimator": estimators.ESTIMATOR_VALUES,
    "callbacks": plan.CALLBACK_VALUES,
    "plotter": plan.PLOTTER_VALUES,
}


def plug_ins():
    for kind, values in KINDS.items():
        package = importlib.import_module(f"{deep_bottleneck.__name__}.{kind}")
        for info in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            if hasattr(module, "load"):
                yield pytest.param(module, values, id=f"{kind}.{info.name}")


@pytest.mark.parametrize(("module", "values"), list(plug_ins()))
def test_load_asks_only_for_what_exists(module, values):
    known = {*Config.model_fields, *values}
    parameters = inspect.signature(module.load).parameters.values()

    assert module.__doc__
    assert module.load.__doc__
    assert {p.name for p in parameters if p.default is p.empty} <= known
