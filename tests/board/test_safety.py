"""Who may read and change experiments through the board."""

import os
import re
import subprocess
import sys
import urllib.request

import pytest

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


def test_stored_pages_are_kept_apart_from_the_board(client):
    with client.get("/experiments/1/files/page") as answer:
        policy = answer.headers["Content-Security-Policy"]

    assert policy.startswith("sandbox allow-scripts;")
    assert "default-src 'self'" in client.get("/").headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["../run.json", "..%2Frun.json", "run.json", "config"])
def test_only_artifacts_are_served(client, name):
    assert client.get(f"/experiments/1/files/{name}").status_code == 404


@pytest.mark.parametrize("experiment_id", ["..", ".", "%2E%2E", "_sources", "99"])
def test_only_experiments_are_served(client, experiment_id):
    assert client.get(f"/experiments/{experiment_id}/files/run").status_code == 404


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
    with urllib.request.urlopen(address) as answer:  # noqa: S310
        assert "4 experiments" in answer.read().decode()


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
