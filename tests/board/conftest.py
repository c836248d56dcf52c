"""Boards over stored experiments, served for a browser."""

import threading

import pytest
from chromium import chromium
from stored_experiments import loader, place, places
from werkzeug.serving import make_server

from deep_bottleneck.board.app import create_app

__all__ = ["browser", "loader", "place", "places", "serve"]


@pytest.fixture
def serve():
    """Serves the board over what a loader finds, as long as the test runs; gives its address."""
    servers = []

    def serve(loader, allow_edit=False):
        app = create_app(loader, allow_edit)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.port}"

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def browser():
    with chromium(", EXCLUDE 127.0.0.1") as driver:
        yield driver
