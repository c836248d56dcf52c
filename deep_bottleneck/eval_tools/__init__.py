"""Find stored experiments again: the same calls and results for the local record and MongoDB."""

from deep_bottleneck.eval_tools.artifacts import Artifact
from deep_bottleneck.eval_tools.collection import ExperimentCollection
from deep_bottleneck.eval_tools.comparison import compare
from deep_bottleneck.eval_tools.configs import find_differing_config_keys, format_config
from deep_bottleneck.eval_tools.experiment import Experiment
from deep_bottleneck.eval_tools.loader import ExperimentLoader

__all__ = [
    "Artifact",
    "Experiment",
    "ExperimentCollection",
    "ExperimentLoader",
    "compare",
    "find_differing_config_keys",
    "format_config",
]
