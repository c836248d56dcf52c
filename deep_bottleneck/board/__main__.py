"""Serve the board.

python -m deep_bottleneck.board                  # the database that is configured, or else runs
python -m deep_bottleneck.board --runs FOLDER    # this local record
python -m deep_bottleneck.board --allow-edit     # with tags and deletion
"""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import waitress

from deep_bottleneck.board.app import create_app, is_this_machine
from deep_bottleneck.errors import ConfigError, RecordError, exit_on
from deep_bottleneck.eval_tools import ExperimentLoader

HOST = "127.0.0.1"
PORT = 8060
# Browsers ask for the pictures of a page all at once.
THREADS = 8
# Who opens connections and says nothing keeps nobody else out: there are many, and each is closed
# after some seconds of silence.
CONNECTIONS = {
    "connection_limit": 800,
    "channel_timeout": 20,
    "cleanup_interval": 5,
    "asyncore_use_poll": True,
}

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the board until it is interrupted."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s - %(message)s")
    with exit_on(ConfigError, RecordError):
        local = is_this_machine(options.host)
        if options.allow_edit and not local:
            raise ConfigError(
                f"--allow-edit with --host {options.host} would let everybody who can reach this "
                f"machine delete experiments: leave out one of them"
            )
        loader = ExperimentLoader(path=options.runs)
        app = create_app(loader, options.allow_edit, local)
        try:
            server = waitress.create_server(
                app, host=options.host, port=options.port, threads=THREADS, **CONNECTIONS
            )
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise ConfigError(
                f"{options.host} port {options.port} cannot be used: {reason}"
            ) from None
    if not local:
        logger.warning("Everybody who can reach %s can read the experiments", options.host)
    host = server.effective_host
    address = f"[{host}]" if ":" in host else host
    logger.info("%r: http://%s:%s", loader.store, address, server.effective_port)
    try:
        server.run()
    finally:
        server.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deep_bottleneck.board",
        description="Serve a web page over stored experiments.",
    )
    parser.add_argument("--runs", type=Path, help="the folder of a local record")
    parser.add_argument("--host", default=HOST, help="the address to answer at (%(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="0 for any (%(default)s)")
    parser.add_argument(
        "--allow-edit", action="store_true", help="let experiments be tagged and deleted"
    )
    return parser


if __name__ == "__main__":
    main()
