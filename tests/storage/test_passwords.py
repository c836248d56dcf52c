"""The password of the database is in no log, record, error message or stored config."""

import logging

import pymongo
import pytest
import sacred
from bson import json_util
from mongo_proxy import Guard, _command, listening, port_of

from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.storage import observers
from deep_bottleneck.storage.__main__ import main
from deep_bottleneck.storage.mongo import mongo_settings, settings_of_uri

# not as it is, for the source of this file is stored with the experiment
PASSWORD = "hush" * 2
DATABASE = "passwords"


@pytest.fixture
def login(mongo_uri, monkeypatch, tmp_path):
    """Settings with a login in the environment, which a guard before the server asks for."""
    with listening(Guard(port_of(mongo_uri), user="me", password=PASSWORD)) as guard:
        settings = {
            "DEEP_BOTTLENECK_RUNS": str(tmp_path / "runs"),
            "MONGO_HOST": f"127.0.0.1:{guard.port}",
            "MONGO_DATABASE": DATABASE,
            "MONGO_INITDB_ROOT_USERNAME": "me",
            "MONGO_INITDB_ROOT_PASSWORD": PASSWORD,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield settings
    with pymongo.MongoClient(mongo_uri) as client:
        client.drop_database(DATABASE)


def run(settings, folder):
    """An experiment that stores an artifact and fails after it, with everything it can tell."""
    picture = folder / "picture.png"
    picture.write_bytes(b"a picture")
    ex = sacred.Experiment("small", save_git_info=False)
    ex.add_config(epochs=1)
    ex.observers.extend(observers.configured(settings, folder / "no such file"))

    @ex.main
    def main(_run):
        _run.log_scalar("test.accuracy", 0.5, 0)
        _run.add_artifact(str(picture), "plane")
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        ex.run()


def stored_in_files(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_records_and_logs_do_not_hold_it(login, mongo_uri, tmp_path, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        run(login, tmp_path)
        main(["sync"])
        main(["doctor"])

    with pymongo.MongoClient(mongo_uri) as client:
        database = client[DATABASE]
        collections = ("runs", "metrics", "fs.files")
        stored = {name: json_util.dumps(database[name].find()) for name in collections}
    assert "on purpose" in stored["runs"]
    assert not [name for name, content in stored.items() if PASSWORD in content]
    files = stored_in_files(tmp_path / "runs")
    assert b"on purpose" in files
    assert PASSWORD.encode() not in files
    shown = capfd.readouterr()
    assert "MongoStore('passwords' at" in repr(ExperimentLoader().store)
    assert PASSWORD not in caplog.text + shown.out + shown.err + repr(ExperimentLoader().store)


def test_a_database_that_is_absent_does_not_tell_it(login, tmp_path, caplog, capfd):
    absent = {**login, "MONGO_HOST": "localhost:1"}

    run(absent, tmp_path)
    with pytest.raises(RecordError) as refused:
        mongo_settings(absent, tmp_path / "no such file").connect()

    assert "localhost:1 cannot be used" in caplog.text
    shown = capfd.readouterr()
    assert PASSWORD not in caplog.text + shown.out + shown.err + str(refused.value)
    assert PASSWORD.encode() not in stored_in_files(tmp_path / "runs")


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://me:{PASSWORD}@host:port/",
        f"mongodb://me:{PASSWORD}@more@host",
        f"mongodb://me:{PASSWORD}:more@host",
        f"mongodb://me:{PASSWORD}/more@host",
        f"mongodb://me:12345/{PASSWORD}@host",
        f"mongodb://me:12345?{PASSWORD}=more@host",
        f"mongodb://me:12345#{PASSWORD}@host",
        f"mongodb://me:{PASSWORD}@host/?authSource",
        f"mongodb://me:{PASSWORD}@[::1",
        f"me:{PASSWORD}@host",
        "mongodb://me:@host",
        "mongodb://me@host/?authMechanism=SCRAM-SHA-256",
        f"mongodb://me:{PASSWORD}@host/?authMechanism=NONSENSE",
        f"mongodb://me:{PASSWORD}@host/?tlsCAFile=/nowhere&tls=true",
        f"mongodb://:{PASSWORD}@host",
        f"mongodb://me:{PASSWORD}@",
        f"mongodb://me:{PASSWORD}@host:0",
        f"mongodb://me:{PASSWORD}@host:99999",
    ],
)
def test_a_mistaken_address_is_not_repeated(uri):
    with pytest.raises(ConfigError, match="MONGO_URI is not a MongoDB address: ") as refused:
        settings_of_uri(uri)

    assert PASSWORD not in str(refused.value)


class Odd(Guard):
    """Answers a login with what no MongoDB says."""

    said = None

    def _answer(self, message, session):
        command = _command(message)
        is_login = command is not None and next(iter(command)) == "saslStart"
        return {"ok": 1.0, **self.said} if is_login else super()._answer(message, session)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"conversationId": 1, "payload": b""},
        {"conversationId": 1, "payload": "text"},
        {"conversationId": 1, "payload": b"r=x"},
        {"conversationId": 1, "payload": b"i=many,s=!,r=x"},
        {"conversationId": 1, "payload": 7},
    ],
)
def test_an_odd_answer_to_a_login_is_one_sentence(mongo_uri, said):
    with listening(Odd(port_of(mongo_uri))) as odd:
        odd.said = said
        settings = settings_of_uri(f"mongodb://me:{PASSWORD}@127.0.0.1:{odd.port}/x")

        with pytest.raises(RecordError, match="cannot be used") as refused:
            settings.connect()

    assert PASSWORD not in str(refused.value)


def test_an_address_without_a_password_is_one_sentence():
    with pytest.raises(ConfigError, match="MONGO_URI is not a MongoDB address: A password is req"):
        settings_of_uri("mongodb://me:@127.0.0.1:9").connect()


def test_settings_do_not_show_it(login, tmp_path):
    settings = mongo_settings(login, tmp_path / "no such file")

    assert PASSWORD in settings.uri
    assert PASSWORD not in f"{settings!r} {settings} {settings.hosts}"
