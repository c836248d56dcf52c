"""Submits experiments to Grid Engine, all of a command as one array job."""

from deep_bottleneck.cluster.grid_engine import GridEngine
from deep_bottleneck.cluster.launcher import ClusterLauncher
from deep_bottleneck.interfaces import Launcher, LaunchOptions

PATH = "launchers.sge"


def load(options: LaunchOptions) -> Launcher:
    """A launcher that submits and does not wait."""
    return ClusterLauncher(GridEngine(), PATH, options)
