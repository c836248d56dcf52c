"""The command `deep-bottleneck`, for any folder; `python -m deep_bottleneck` is the same.

deep-bottleneck run tishby epochs=100
deep-bottleneck run mine.json --jobs 2
deep-bottleneck status
deep-bottleneck board
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

# what each word does, by the module and function that does it, and words that it puts in front:
# only the one that is asked for is imported
COMMANDS = {
    "run": ("launching.subcommands", "run", (), "run a config, a sweep or a folder of them"),
    "resume": ("launching.subcommands", "resume", (), "launch what launches have left undone"),
    "status": ("launching.subcommands", "status", (), "show how all launches are doing"),
    "cancel": ("launching.subcommands", "cancel", (), "end what waits or runs on a cluster"),
    "reestimate": ("launching.subcommands", "reestimate", (), "measure an experiment again"),
    "configs": ("launching.subcommands", "configs", (), "list the configs that come along"),
    "cite": ("launching.subcommands", "cite", (), "print BibTeX of what an experiment used"),
    "board": ("board.__main__", "main", (), "serve a web page over stored experiments"),
    "report": ("report", "main", (), "write one page over all experiments of a folder"),
    "storage": ("storage.__main__", "main", (), "move and mend stored experiments"),
    "doctor": ("storage.__main__", "main", ("doctor",), "find what killed processes have left"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the first word says, with the words behind it.

    Returns:
        The exit status: 0 if all went well, 1 if something it started did not, 2 for a mistake.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    chosen = _parser().parse_args(words[:1]).command
    module, function, first, _ = COMMANDS[chosen]
    do = getattr(importlib.import_module(f"deep_bottleneck.{module}"), function)
    return do([*first, *words[1:]]) or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deep-bottleneck",
        description="Watch information move through a neural network while it learns.",
        epilog="deep-bottleneck COMMAND --help tells of each",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (*_, about) in COMMANDS.items():
        commands.add_parser(name, help=about, add_help=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())
