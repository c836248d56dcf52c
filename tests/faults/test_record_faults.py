"""Every damage of every file of a record, before every reader: one bad thing stops no other."""

import errno
import json
import os
import shutil
from pathlib import Path

import pymongo
import pytest
from PIL import Image
from record_faults import (
    DAMAGES,
    PICTURE,
    READERS,
    SAID_ALL_THE_SAME,
    SAID_BY,
    SOURCE,
    TABLE,
    WITHIN,
)

from deep_bottleneck import report
from deep_bottleneck.board.app import create_app
from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.launching.completed import StoredExperiments
from deep_bottleneck.pipeline.reestimation import reestimate
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.identity import digest_of
from deep_bottleneck.storage.mongo import MongoSettings
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.moving.doctor import examine
from deep_bottleneck.storage.moving.upload import upload

STORED = Path(__file__).resolve().parents[1] / "stored" / "before" / "complete"
CODE = b"answer = 42\n"
KEPT = f"_sources/code_{digest_of(CODE)}.py"
OTHERS_SECRET = b'{"epochs": "private words"}'


def record(runs, id_):
    """A whole record, whose code is that of today."""
    folder = runs / str(id_)
    shutil.copytree(STORED, folder)
    Image.new("RGB", (40, 30)).save(folder / PICTURE)
    run = json.loads((STORED / "run.json").read_text())
    run["artifacts"] = [Path(TABLE).stem, Path(PICTURE).stem]
    run["experiment"] |= {"sources": [["code.py", KEPT]], "base_dir": "/", "name": f"number {id_}"}
    run["start_time"] = f"2026-01-01T00:00:0{id_}"
    (folder / "run.json").write_text(json.dumps(run))
    config = json.loads((STORED / "config.json").read_text())
    config |= {"plotters": [], "seed": id_, "calculate_mi_for": ["test"]}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def runs(tmp_path):
    """Two experiments, of which the first is whole so far."""
    folder = tmp_path / "runs"
    (folder / "_sources").mkdir(parents=True)
    # what is the same in both would be damaged in both
    for id_ in (1, 2):
        record(folder, id_)
    (folder / KEPT).write_bytes(CODE)
    (tmp_path / "code.py").write_bytes(CODE)
    return folder


@pytest.fixture
def damage(runs, tmp_path, monkeypatch):
    """Does something to a file of the first experiment."""

    def damage(name, how):
        path = runs / KEPT if name == SOURCE else runs / "1" / name
        content = path.read_bytes()
        if how == "unreadable":
            forbid(monkeypatch, path)
        elif how == "truncated":
            path.write_bytes(content[: len(content) * 6 // 10])
        elif how == "flipped":
            changed = bytearray(content)
            changed[len(content) // 2] ^= 4
            path.write_bytes(changed)
        elif how == "emptied":
            path.write_bytes(b"")
        else:
            path.unlink()
        (tmp_path / "private").write_bytes(OTHERS_SECRET)
        match how:
            case "a folder":
                path.mkdir()
            case "a link":
                path.symlink_to(tmp_path / "private")
            case "a dangling link":
                path.symlink_to("nowhere")
            case "a pipe":
                os.mkfifo(path)

    return damage


def forbid(monkeypatch, forbidden):
    """Let a file be one that may not be read, for root as well."""
    really_open = os.open

    def refused(path, *args, **kwargs):
        if Path(os.fsdecode(path)) == forbidden:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refused)


def read_by_evaluation(runs, _):
    loader = ExperimentLoader(path=runs)
    table = loader.find_all().project(["name", "epochs", "training.loss"])
    assert table.loc[2].notna().all()
    assert 2 in set(loader.find_all().mean_measures("upper")["id"])
    return [str(error) for error in [_refused(lambda: _all_of(loader.find_by_id(1)))] if error]


def _all_of(experiment):
    for artifact in experiment.artifacts.values():
        assert OTHERS_SECRET not in artifact.read()
    return experiment.name, experiment.config, experiment.metrics


def _refused(read):
    try:
        read()
    except RecordError as error:
        return error
    return None


def read_by_board(runs, _):
    client = create_app(ExperimentLoader(path=runs)).test_client()
    said = []
    for address in ("/", "/experiments/2", "/experiments/2/files/infoplane_test"):
        with client.get(address) as answer:
            assert answer.status_code == 200
    for address in ("", "/files/infoplane_test", f"/files/{Path(TABLE).stem}"):
        with client.get(f"/experiments/1{address}") as answer:
            assert answer.status_code in (200, 404, 503), address
            assert OTHERS_SECRET not in answer.data
            if answer.status_code != 200:
                said.append(str(answer.status_code))
    return said


def read_by_report(runs, tmp_path):
    report.main([str(runs), "-o", str(tmp_path / "report.html")])
    assert "runs/2/" in (tmp_path / "report.html").read_text()
    return []


def read_by_doctor(runs, _):
    return [f"{found.where} {found.what}" for found in examine(FolderStore(runs), mend=False)]


def read_by_resume(runs, tmp_path):
    wanted = json.loads((runs / "2" / "config.json").read_text())
    stored = StoredExperiments(runs, tmp_path)
    assert stored.completed(Config.parse(wanted).model_dump(exclude_defaults=True)) == "2"
    first = Config.parse(wanted | {"seed": 1}).model_dump(exclude_defaults=True)
    return [] if stored.completed(first) == "1" else ["run again"]


def read_by_re_estimate(runs, _):
    try:
        assert reestimate(runs / "1", [["mi_estimator.binning", 0.5]])
    except (ConfigError, RecordError) as error:
        return [str(error)]
    return []


@pytest.fixture
def store(mongo_uri):
    """An empty database."""
    store = MongoStore(MongoSettings(mongo_uri, "faults_of_records"))
    yield store
    with pymongo.MongoClient(mongo_uri) as client:
        client.drop_database("faults_of_records")


def uploaded(runs, store):
    transfers = {transfer.id: transfer for transfer in upload(FolderStore(runs), store)}
    assert transfers[2].done.startswith("new")
    for file in store.database["fs.chunks"].find():
        assert OTHERS_SECRET not in bytes(file["data"])
    return [transfer.done for transfer in transfers.values() if transfer.failed]


OF_FOLDERS = {
    "evaluation": read_by_evaluation,
    "board": read_by_board,
    "report": read_by_report,
    "doctor": read_by_doctor,
    "resume": read_by_resume,
    "re-estimate": read_by_re_estimate,
}


# without which nothing can be estimated again
REFUSED = ("run.json", "config.json", "activations.h5")


def cases():
    """Every damage of every file before every reader; by default one of each reader and file.

    To estimate again takes a moment, but where it is refused.
    """
    for i, name in enumerate(SAID_BY):
        for j, how in enumerate(DAMAGES):
            for k, reader in enumerate(READERS):
                takes_long = reader == "re-estimate" and name not in REFUSED
                if (name, how) == ("activations.h5", "unreadable"):
                    continue  # HDF5 opens it by itself
                is_slow = takes_long or (i + j + k) % len(DAMAGES)
                marks = [pytest.mark.slow] if is_slow else []
                yield pytest.param(reader, name, how, marks=marks)


@pytest.mark.parametrize(("reader", "name", "how"), list(cases()))
def test_one_bad_thing_is_said_and_stops_no_other(
    runs, damage, tmp_path, caplog, request, reader, name, how
):
    damage(name, how)

    if reader == "sync":
        said = uploaded(runs, request.getfixturevalue("store"))
    else:
        said = OF_FOLDERS[reader](runs, tmp_path)

    said += [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    expected = reader in SAID_ALL_THE_SAME.get((name, how), SAID_BY[name])
    if how not in WITHIN:
        assert bool(said) == expected, said
    elif not expected:
        assert not said


def test_the_whole_record_is_nobodys_trouble(runs, tmp_path, caplog, store):
    for read in OF_FOLDERS.values():
        assert read(runs, tmp_path) == []
    assert uploaded(runs, store) == []
    assert not [one for one in caplog.records if one.levelname == "WARNING"]
