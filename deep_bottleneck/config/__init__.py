"""What an experiment is asked to do: hyperparameters, plug-ins and sweeps."""

from deep_bottleneck.config.hyperparameters import Activation, Config

__all__ = ["Activation", "Config"]
