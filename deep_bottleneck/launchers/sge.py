"""Submits experiments to Grid Engine, all of a command as one array job."""

from deep_bottleneck.interfaces import Launcher, LaunchOptions
from deep_bottleneck.launching.cluster.grid_engine import GridEngine
from deep_bottleneck.launching.cluster.launcher import ClusterLauncher

PATH = "launchers.sge"
QUEUE = GridEngine()


def load(options: LaunchOptions) -> Launcher:
    """A launcher that submits and does not wait."""
    return ClusterLauncher(QUEUE, PATH, options)
