"""deep-bottleneck: watch information move through a neural network while it learns."""

from typing import TYPE_CHECKING, Any

from deep_bottleneck.machine import former_paths

if TYPE_CHECKING:
    from deep_bottleneck.launching.from_python import run as run
    from deep_bottleneck.watching.watch import watch as watch

__version__ = "0.1.0"

# what the guide, the API page, job scripts and the original tools have promised before the modules
# found their folders
former_paths.install(
    {
        "deep_bottleneck.activation_store": ("deep_bottleneck.measuring.activation_store",),
        "deep_bottleneck.checkpoint": (
            "deep_bottleneck.training.checkpoint",
            "deep_bottleneck.training.continuation",
        ),
        "deep_bottleneck.cluster": (),
        "deep_bottleneck.cluster.submission": ("deep_bottleneck.launching.submission",),
        "deep_bottleneck.cluster.task": ("deep_bottleneck.launching.task",),
        "deep_bottleneck.ensemble": ("deep_bottleneck.training.ensemble",),
        "deep_bottleneck.estimation": ("deep_bottleneck.measuring.estimation",),
        "deep_bottleneck.memory": ("deep_bottleneck.training.memory",),
        "deep_bottleneck.preemption": ("deep_bottleneck.training.preemption",),
        "deep_bottleneck.progress": ("deep_bottleneck.machine.progress",),
        "deep_bottleneck.recorder": ("deep_bottleneck.training.recorder",),
        "deep_bottleneck.records": (),
        "deep_bottleneck.records.base": ("deep_bottleneck.storage.base",),
        "deep_bottleneck.settings": (
            "deep_bottleneck.machine.environment",
            "deep_bottleneck.storage.names",
        ),
        "deep_bottleneck.trust": ("deep_bottleneck.measuring.trust",),
        "deep_bottleneck.datasets.base_dataset": ("deep_bottleneck.interfaces",),
        "deep_bottleneck.eval_tools.artifact": ("deep_bottleneck.eval_tools.artifacts",),
        "deep_bottleneck.eval_tools.experiment_loader": ("deep_bottleneck.eval_tools.loader",),
        "deep_bottleneck.eval_tools.utils": ("deep_bottleneck.eval_tools.configs",),
        "deep_bottleneck.mi_estimator.base": ("deep_bottleneck.interfaces",),
        "deep_bottleneck.plotter.base": ("deep_bottleneck.interfaces",),
        "deep_bottleneck.causal.vector_measures": ("deep_bottleneck.causal.measures",),
        "deep_bottleneck.causal.parts_measures": ("deep_bottleneck.causal.measures",),
        "deep_bottleneck.causal.sensitivity_measures": ("deep_bottleneck.causal.measures",),
        "deep_bottleneck.causal.topology": ("deep_bottleneck.causal.network.topology",),
    }
)


def __getattr__(name: str) -> Any:
    """What takes long to import, when it is asked for."""
    if name == "run":
        from deep_bottleneck.launching.from_python import run

        return run
    if name == "watch":
        from deep_bottleneck.watching.watch import watch

        return watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
