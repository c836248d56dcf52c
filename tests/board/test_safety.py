"""Who may read and change experiments through the board."""

import html
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import waitress

from deep_bottleneck.board.__main__ import main
from deep_bottleneck.board.app import create_app
from deep_bottleneck.eval_tools import ExperimentLoader


@pytest.fixture
def client(loader):
    return create_app(loader, allow_edit=True).test_client()


def token(client):
    return re.search('name="token" value="([^"]+)"', client.get("/experiments/1").text)[1]


def test_nothing_can_be_changed_unless_that_is_allowed(loader):
    client = create_app(loader).test_client()

    for edit in ("tag", "delete"):
        assert client.post(f"/experiments/1/{edit}", data={"confirmed": "yes"}).status_code == 404
    assert 'method="post"' not in client.get("/experiments/1").text


@pytest.mark.parametrize("edit", ["tag", "delete"])
@pytest.mark.parametrize("forged", [{}, {"token": "guessed"}, {"token": "gü"}])
def test_a_form_of_another_site_changes_nothing(client, loader, edit, forged):
    answer = client.post(f"/experiments/1/{edit}", data={"confirmed": "yes", "tags": "x", **forged})

    assert answer.status_code == 403
    assert "does not come from the board" in answer.text
    assert loader.find_by_id(1).tags == ()


def test_a_question_is_asked_before_anything_changes(client, loader):
    answer = client.post("/experiments/1/delete", data={"token": token(client)})

    assert "Delete experiment 1 with its metrics and artifacts, for good?" in answer.text
    assert loader.find_by_id(1).status == "COMPLETED"


def test_another_name_for_this_machine_is_refused(client):
    assert client.get("/", headers={"Host": "rebound.example"}).status_code == 400
    assert client.get("/", headers={"Host": "localhost:8060"}).status_code == 200


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.0.0.2", "[::1]", "[::1]:8060"])
def test_this_machine_has_several_names(client, name):
    assert client.get("/", headers={"Host": name}).status_code == 200


@pytest.mark.parametrize(
    "name", ["[::2]", "10.0.0.1", "localhost.example", "127.0.0.1.example", "::1", "", "[]", "a b"]
)
def test_all_others_are_foreign(client, name):
    assert client.get("/", headers={"Host": name}).status_code == 400


def frame_of(page):
    return html.unescape(re.search('<iframe[^>]* src="([^"]+)"', page)[1])


def test_stored_pages_are_kept_apart_from_the_board(client):
    with client.get(frame_of(client.get("/experiments/1").text)) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert answer.text == "<p>a page</p>"

    assert policy.startswith("sandbox allow-scripts;")
    assert "default-src 'self'" in client.get("/").headers["Content-Security-Policy"]


@pytest.mark.parametrize("query", ["", "?frame=", "?frame=guessed", "?frame=gü"])
def test_by_itself_a_stored_page_is_in_a_frame_of_the_board(client, query):
    answer = client.get(f"/experiments/1/files/page{query}")

    assert "a page" not in answer.text
    assert 'sandbox="allow-scripts"' in answer.text
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    with client.get(frame_of(answer.text)) as framed:
        assert framed.text == "<p>a page</p>"


@pytest.mark.parametrize("name", ["infoplane_test", "film", "notes"])
def test_other_stored_files_run_nothing(client, name):
    with client.get(f"/experiments/1/files/{name}") as answer:
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; ")


@pytest.mark.parametrize(
    ("asked", "content", "said"),
    [
        ("bytes=0-1", b"a ", "bytes 0-1/6"),
        ("bytes=2-", b"film", "bytes 2-5/6"),
        ("bytes=-3", b"ilm", "bytes 3-5/6"),
        ("bytes=4-99", b"lm", "bytes 4-5/6"),
    ],
)
def test_a_part_of_a_film_is_sent(client, asked, content, said):
    with client.get("/experiments/1/files/film", headers={"Range": asked}) as answer:
        assert answer.status_code == 206
        assert answer.data == content
        assert answer.headers["Content-Range"] == said


def test_a_part_that_is_not_there_is_one_sentence(client):
    answer = client.get("/experiments/1/files/film", headers={"Range": "bytes=99-"})

    assert answer.status_code == 416
    assert "problem" in answer.text
    with client.get("/experiments/1/files/film") as whole:
        assert whole.status_code == 200
        assert whole.data == b"a film"
        assert whole.headers["Accept-Ranges"] == "bytes"


def test_a_folder_in_place_of_a_file_is_one_sentence(places):
    loader = ExperimentLoader(**places["local"])
    path = loader.store.folder / "3" / "notes.txt"
    path.unlink()
    path.mkdir()
    client = create_app(loader).test_client()
    try:
        answer = client.get("/experiments/3/files/notes")
    finally:
        path.rmdir()
        path.write_text("notes")

    assert answer.status_code == 404
    assert "Experiment 3 has no artifact notes" in answer.text


@pytest.mark.parametrize("name", ["../run.json", "..%2Frun.json", "run.json", "config"])
def test_only_artifacts_are_served(client, name):
    assert client.get(f"/experiments/1/files/{name}").status_code == 404


@pytest.mark.parametrize("experiment_id", ["..", ".", "%2E%2E", "_sources", "99"])
def test_only_experiments_are_served(client, experiment_id):
    assert client.get(f"/experiments/{experiment_id}/files/run").status_code == 404


@pytest.mark.parametrize("experiment_id", ["../1", "../elsewhere", "9" * 5000, "17"])
def test_of_others_nobody_hears_how_far_they_are(places, experiment_id):
    loader = ExperimentLoader(**places["local"])
    outside = loader.store.folder.parent / "elsewhere"
    if not outside.exists():
        shutil.copytree(loader.store.folder / "1", outside)
    client = create_app(loader).test_client()

    assert client.get("/progress", query_string={"id": experiment_id}).json == {}
    assert client.get(f"/experiments/{'9' * 5000}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/?columns=" + "+".join(f"c{number}" for number in range(51)),
        "/compare?" + "&".join(["id=1"] * 101),
        "/curves/loss?" + "&".join(["id=1"] * 101),
        "/?filter=epochs%3D" + "[" * 5000,
    ],
)
def test_nobody_asks_for_so_much_that_others_wait(client, path):
    answer = client.get(path)

    assert answer.status_code in (200, 400)
    assert answer.status_code == 200 or " at most" in answer.text


def test_names_are_text_on_the_pages(loader, client):
    loader.find_by_id(3).tag("<script>alert(1)</script>")

    page = client.get("/").text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_damaged_record_is_one_sentence_and_hides_no_other(places):
    loader = ExperimentLoader(**places["local"])
    client = create_app(loader).test_client()
    path = loader.store.folder / "3" / "run.json"
    content = path.read_bytes()
    path.write_bytes(content[:100])
    try:
        assert "3 experiments" in client.get("/").text
        page = client.get("/experiments/3")
    finally:
        path.write_bytes(content)

    assert page.status_code == 503
    assert "run.json cannot be read" in page.text


@pytest.fixture
def command(places):
    """Starts the board as the command line does, and gives what it says first."""
    started = []

    def command(*arguments):
        path = str(places["local"]["path"])
        line = [sys.executable, "-m", "deep_bottleneck.board", "--runs", path, *arguments]
        process = subprocess.Popen(
            line, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"}
        )
        started.append(process)
        return process.stderr.readline()

    yield command
    for process in started:
        process.kill()
        process.communicate()


def test_the_command_serves_this_machine_alone(command):
    said = command("--port", "0")

    address = re.search(r"http://127\.0\.0\.1:\d+", said)[0]
    with ExitStack() as silent:
        for _ in range(150):
            place = ("127.0.0.1", int(address.rpartition(":")[2]))
            silent.enter_context(socket.create_connection(place)).send(b"GET / HTTP/1.1\r\n")
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310
            assert "4 experiments" in answer.read().decode()


def test_an_address_of_the_sixth_version_is_said_so_that_it_can_be_opened(
    places, monkeypatch, caplog
):
    server = SimpleNamespace(
        effective_host="::1", effective_port=8060, run=lambda: None, close=lambda: None
    )
    monkeypatch.setattr(waitress, "create_server", lambda app, **options: server)

    with caplog.at_level("INFO"):
        main(["--runs", str(places["local"]["path"]), "--host", "::1"])

    assert "http://[::1]:8060" in caplog.text


def test_an_address_of_another_machine_is_one_sentence(command):
    assert command("--host", "192.0.2.1").startswith("error: 192.0.2.1 port 8060 cannot be used")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--host", "0.0.0.0", "--allow-edit"], "would let everybody who can reach this machine"),  # noqa: S104
        (["--runs", "nowhere"], "nowhere is no folder: there is no local record"),
    ],
)
def test_a_mistaken_command_is_one_sentence(places, capsys, arguments, sentence):
    with pytest.raises(SystemExit) as end:
        main(["--runs", str(places["local"]["path"]), *arguments])

    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert sentence in line
