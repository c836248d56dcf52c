"""The pages of the board, as a Flask application."""

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, redirect, render_template, request, send_file, url_for
from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    HTTPException,
    NotFound,
    RequestedRangeNotSatisfiable,
    SecurityError,
)
from werkzeug.wrappers import Response as AnyResponse
from werkzeug.wsgi import FileWrapper

from deep_bottleneck.board.curves import curves, kinds
from deep_bottleneck.board.index import indexed
from deep_bottleneck.board.progress import progress_of
from deep_bottleneck.board.table import ROWS_OF_A_PAGE, View, shown_as, table
from deep_bottleneck.errors import RecordError
from deep_bottleneck.eval_tools import ExperimentCollection, ExperimentLoader
from deep_bottleneck.eval_tools.configs import differing_keys, flat, text
from deep_bottleneck.interfaces import Status
from deep_bottleneck.storage.base import Entry, ExperimentId, as_id, not_ended, sort_key

# Only files of the board itself are loaded and run ...
OWN_PAGE = (
    "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; form-action 'self'; "
    "base-uri 'none'"
)
# ... and what is stored reaches neither the board nor anything else. A stored page runs only in a
# frame of the board, which holds it: by itself it could leave for another address, and take along
# what it shows.
STORED = "sandbox; default-src 'unsafe-inline' 'unsafe-eval' data: blob:"
FRAMED = STORED.replace("sandbox", "sandbox allow-scripts")
PICTURES, MOVIES, PAGES = (".png", ".svg"), (".mp4",), (".html",)


def create_app(loader: ExperimentLoader, allow_edit: bool = False, local: bool = True) -> Flask:
    """The board over what a loader finds.

    Args:
        loader: finds the experiments.
        allow_edit: whether experiments may be tagged and deleted.
        local: whether only this machine may ask, so that a foreign name for it is an attack.
    """
    app = Flask(__name__)
    app.jinja_env.globals.update(allow_edit=allow_edit, store=repr(loader.store))
    app.jinja_env.filters.update(shown=shown_as)
    board = _Board(loader, secrets.token_urlsafe(), secrets.token_urlsafe())
    app.add_url_rule("/", view_func=board.index)
    app.add_url_rule("/progress", view_func=board.progress)
    app.add_url_rule("/compare", view_func=board.compare)
    app.add_url_rule("/curves/<path:kind>", view_func=board.curves)
    app.add_url_rule("/experiments/<experiment_id>", view_func=board.experiment)
    app.add_url_rule("/experiments/<experiment_id>/files/<path:name>", view_func=board.file)
    if allow_edit:
        for edit in (board.tag, board.delete):
            rule = f"/experiments/<experiment_id>/{edit.__name__}"
            app.add_url_rule(rule, view_func=edit, methods=["POST"])
    if local:
        app.before_request(_refuse_foreign_names)
    app.after_request(_harden)
    app.register_error_handler(HTTPException, _problem)
    app.register_error_handler(RecordError, _refusal)
    return app


def is_this_machine(host: str) -> bool:
    """Whether a name or address is one that only this machine is reached by from itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Board:
    """The pages; tokens tell the board's own forms, and its frames, from those of others."""

    def __init__(self, loader: ExperimentLoader, token: str, frame_token: str) -> None:
        self._loader = loader
        self._store = loader.store
        self._index = indexed(loader.store)
        self._token = token
        self._frame_token = frame_token
        # the style of a figure is global while it is drawn
        self._drawing = Lock()

    def index(self) -> str:
        """The table of experiments."""
        given = request.args
        view = View(
            filter=given.get("filter", ""),
            status=given.get("status", ""),
            sort=given.get("sort", "id"),
            descending=given.get("order", "down") == "down",
            page=max(1, given.get("page", 1, type=int)),
            columns=tuple(given.get("columns", "").split()),
        )
        try:
            found = table(self._index, view)
        except ValueError as error:
            raise BadRequest(str(error)) from None
        return render_template("index.html", view=view, table=found)

    def progress(self) -> dict[str, Any]:
        """How far running experiments are, and the status of all that are asked for, as JSON."""
        known = set(self._index.ids())
        ids = [id_ for id_ in map(as_id, request.args.getlist("id")) if id_ in known]
        entries = self._store.entries(ids)
        running = progress_of(self._store, entries.values())
        return {
            str(id_): {"status": entry.status} | (asdict(running[id_]) if id_ in running else {})
            for id_, entry in entries.items()
        }

    def experiment(self, experiment_id: str) -> str:
        """One experiment."""
        id_ = self._known(experiment_id)
        experiment = self._loader.find_by_id(id_)
        files = self._store.files(id_).values()
        entry = self._entry(id_)
        return render_template(
            "experiment.html",
            entry=entry,
            progress=progress_of(self._store, [entry]).get(id_),
            config={key: text(value) for key, value in flat(experiment.config).items()},
            kinds=kinds(self._store, [id_]),
            pictures=[file for file in files if file.suffix in PICTURES],
            movies=[file for file in files if file.suffix in MOVIES],
            pages=[file for file in files if file.suffix in PAGES],
            files=files,
            token=self._token,
            frame=self._frame_token,
        )

    def compare(self) -> str:
        """What differs between experiments, and their curves."""
        ids = sorted(self._asked(), key=sort_key)
        configs = ExperimentCollection(self._store, ids).configs
        values = {id_: flat(config) for id_, config in configs.items()}
        differing = {
            key: [text(values[id_][key]) if key in values.get(id_, {}) else "" for id_ in ids]
            for key in differing_keys(configs.values())
        }
        return render_template(
            "compare.html", ids=ids, differing=differing, kinds=kinds(self._store, ids)
        )

    def curves(self, kind: str) -> Response:
        """Metrics as a picture."""
        ids = self._asked()
        with self._drawing:
            picture = curves(self._store, ids, kind)
        if picture is None:
            raise NotFound(f"None of these experiments has a metric {kind}")
        return Response(picture, mimetype="image/svg+xml")

    def file(self, experiment_id: str, name: str) -> str | AnyResponse:
        """An artifact, or the part of it that is asked for; a page in a frame."""
        stored = self._store.files(self._known(experiment_id)).get(name)
        if stored is None:
            raise NotFound(f"Experiment {experiment_id} has no artifact {name}")
        is_framed = secrets.compare_digest(
            request.args.get("frame", "").encode(), self._frame_token.encode()
        )
        if stored.suffix in PAGES and not is_framed:
            return render_template(
                "page.html", id=experiment_id, name=name, frame=self._frame_token
            )
        try:
            content = stored.open()
        except OSError as error:
            raise NotFound(f"{name} cannot be read: {error.strerror}") from None
        response = send_file(
            content,
            download_name=name if name.endswith(stored.suffix) else name + stored.suffix,
            as_attachment=stored.suffix not in (*PICTURES, *MOVIES, *PAGES),
            conditional=False,
        )
        # one that can be wound to where a range begins
        response.response = FileWrapper(content)
        response.headers["Content-Security-Policy"] = FRAMED if is_framed else STORED
        try:
            return response.make_conditional(
                request, accept_ranges=True, complete_length=stored.size
            )
        except RequestedRangeNotSatisfiable:
            response.close()
            raise

    def tag(self, experiment_id: str) -> str | AnyResponse:
        """Replace the tags of an experiment, once that is confirmed."""
        id_ = self._known(experiment_id)
        tags = request.form.get("tags", "").replace(",", " ").split()
        question = f"Let the tags of experiment {id_} be: {', '.join(tags) or 'none'}?"
        if not self._confirmed():
            return self._ask(id_, question, "Tag", tags=" ".join(tags))
        self._store.tag(id_, tags)
        return redirect(url_for("experiment", experiment_id=id_), 303)

    def delete(self, experiment_id: str) -> str | AnyResponse:
        """Delete an experiment, once that is confirmed."""
        id_ = self._known(experiment_id)
        confirmed = self._confirmed()
        entry = self._entry(id_)
        if entry.status == Status.RUNNING:
            raise RecordError(not_ended(self._store, entry, "it can be deleted"))
        if not confirmed:
            question = f"Delete experiment {id_} with its metrics and artifacts, for good?"
            return self._ask(id_, question, "Delete")
        self._store.delete(id_)
        return redirect(url_for("index"), 303)

    def _confirmed(self) -> bool:
        given = request.form.get("token", "").encode()
        if not secrets.compare_digest(given, self._token.encode()):
            raise Forbidden("This does not come from the board: go back to it and try again")
        return request.form.get("confirmed") == "yes"

    def _ask(self, id_: ExperimentId, question: str, verb: str, **values: str) -> str:
        return render_template(
            "confirm.html", id=id_, question=question, verb=verb, values=values, token=self._token
        )

    def _entry(self, id_: ExperimentId) -> Entry:
        self._store.check(id_)
        return self._store.entries([id_])[id_]

    def _known(self, experiment_id: str) -> ExperimentId:
        (id_,) = self._all_known([experiment_id])
        return id_

    def _asked(self) -> list[ExperimentId]:
        given = request.args.getlist("id")
        if not given:
            raise BadRequest("No experiment is selected: select some in the table")
        if len(given) > ROWS_OF_A_PAGE:
            raise BadRequest(
                f"{len(given)} experiments are selected: select {ROWS_OF_A_PAGE} at most"
            )
        return self._all_known(given)

    def _all_known(self, given: Sequence[str]) -> list[ExperimentId]:
        ids = list(dict.fromkeys(map(as_id, given)))
        missing = set(ids) - set(self._index.ids())
        if missing:
            raise NotFound(
                f"There is no experiment {', '.join(map(str, missing))} in {self._store!r}"
            )
        return ids


def _refuse_foreign_names() -> None:
    """A foreign name for this machine is how another site would read the board."""
    if not is_this_machine(urlsplit(f"//{request.host}").hostname or ""):
        raise SecurityError(f"The board is not called {request.host}")


def _harden(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", OWN_PAGE)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


def _problem(problem: HTTPException) -> tuple[str, int]:
    if isinstance(problem, SecurityError):
        # a foreign name has no pages
        return problem.description or problem.name, 400
    page = render_template("problem.html", sentence=problem.description or problem.name)
    return page, problem.code or 500


def _refusal(error: RecordError) -> tuple[str, int]:
    """An edit that is not possible, or a store that does not answer."""
    code = 409 if request.method == "POST" else 503
    return render_template("problem.html", sentence=str(error)), code
