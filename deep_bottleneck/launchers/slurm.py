"""Submits experiments to Slurm, all of a command as one array job."""

from deep_bottleneck.interfaces import Launcher, LaunchOptions
from deep_bottleneck.launching.cluster.launcher import ClusterLauncher
from deep_bottleneck.launching.cluster.slurm import Slurm

PATH = "launchers.slurm"
QUEUE = Slurm()


def load(options: LaunchOptions) -> Launcher:
    """A launcher that submits and does not wait."""
    return ClusterLauncher(QUEUE, PATH, options)
