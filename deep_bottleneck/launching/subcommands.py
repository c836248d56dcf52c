"""What `deep-bottleneck` launches, follows and measures again: one word for each thing to do."""

import argparse
import sys
from collections.abc import Sequence

from deep_bottleneck.errors import ConfigError, RecordError, exit_on
from deep_bottleneck.launching import citation, command, home

PROGRAM = "deep-bottleneck"


def run(arguments: Sequence[str]) -> int:
    """Run a config, a sweep or a folder of them."""
    parser = _parser("run", run.__doc__)
    parser.add_argument(
        "config", help="a JSON file or a folder of them, or the name of a config that comes along"
    )
    command.add_updates(parser)
    command.add_launching(parser)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="leave out experiments that are stored as completed, with the same config and code",
    )
    return command.carried_out(parser, arguments, home.home())


def resume(arguments: Sequence[str]) -> int:
    """Launch what all launches have left undone."""
    parser = _parser("resume", resume.__doc__)
    command.add_launching(parser)
    parser.set_defaults(resume=True)
    return command.carried_out(parser, arguments, home.home())


def status(arguments: Sequence[str]) -> int:
    """Show how all launches are doing."""
    parser = _parser("status", status.__doc__)
    parser.set_defaults(status=True)
    return command.carried_out(parser, arguments, home.home())


def cancel(arguments: Sequence[str]) -> int:
    """End all that waits or runs on a cluster."""
    parser = _parser("cancel", cancel.__doc__)
    parser.set_defaults(cancel=True)
    return command.carried_out(parser, arguments, home.home())


def reestimate(arguments: Sequence[str]) -> int:
    """Measure a stored experiment that kept its activations with other estimators."""
    parser = _parser("reestimate", reestimate.__doc__)
    parser.add_argument("reestimate", metavar="ID", help="of the experiment")
    command.add_estimator(parser)
    return command.carried_out(parser, arguments, home.home())


def configs(arguments: Sequence[str]) -> int:
    """List the configs that come along, by the name that `run` takes."""
    _parser("configs", configs.__doc__).parse_args(arguments)
    sys.stdout.writelines(f"{name}\n" for name in home.configs())
    return 0


def cite(arguments: Sequence[str]) -> int:
    """Print BibTeX of what an experiment used: data, estimators, measures, and this framework."""
    parser = _parser("cite", cite.__doc__)
    parser.add_argument("config", metavar="CONFIG_OR_ID", help="as for run, or a stored experiment")
    chosen = parser.parse_args(arguments).config
    with exit_on(ConfigError, RecordError):
        sys.stdout.write(citation.bibtex(chosen))
    return 0


def _parser(name: str, about: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"{PROGRAM} {name}", description=about)
