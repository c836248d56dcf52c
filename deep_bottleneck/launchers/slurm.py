"""Submits experiments to Slurm, all of a command as one array job."""

from deep_bottleneck.cluster.launcher import ClusterLauncher
from deep_bottleneck.cluster.slurm import Slurm
from deep_bottleneck.interfaces import Launcher, LaunchOptions

PATH = "launchers.slurm"


def load(options: LaunchOptions) -> Launcher:
    """A launcher that submits and does not wait."""
    return ClusterLauncher(Slurm(), PATH, options)
