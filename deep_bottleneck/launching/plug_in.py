"""The launcher that a command or a launch names, and what its module says of its launches."""

from dataclasses import dataclass

from deep_bottleneck.config import components
from deep_bottleneck.config.components import Component
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Launcher, LaunchOptions, Queue


@dataclass(frozen=True)
class LauncherPlugIn:
    """A launcher, by its module.

    Attributes:
        component: where it is loaded from.
    """

    component: Component

    @classmethod
    def find(cls, name: str) -> "LauncherPlugIn":
        """Import a launcher.

        Args:
            name: one of the package, such as "slurm", or an import path.

        Raises:
            ConfigError: if there is none.
        """
        path = name if "." in name else f"launchers.{name}"
        return cls(components.find("launcher", path))

    @property
    def queue(self) -> Queue | None:
        """What its launches wait and run in, None if it names nothing."""
        return getattr(self.component.module, "QUEUE", None)

    @property
    def waits(self) -> bool:
        """Whether its launches last until all their experiments have ended, as far as it says."""
        return getattr(self.component.module, "WAITS", False)

    def is_called(self, name: str) -> bool:
        """Whether a name leads to this launcher."""
        try:
            return LauncherPlugIn.find(name).component.module is self.component.module
        except ConfigError:
            return False

    def load(self, options: LaunchOptions) -> Launcher:
        """The launcher with what a command says.

        Raises:
            ConfigError: if it needs what nobody supplies, or refuses the options.
        """
        values = {"options": options, "experiment_script": options.experiment_script}
        launcher: Launcher = self.component.load(values)
        return launcher
