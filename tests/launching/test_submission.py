import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.interfaces import Job
from deep_bottleneck.launching.code import copy_code
from deep_bottleneck.launching.submission import Submission, submissions

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_written_is_read(submission, tmp_path):
    changed = replace(submission, job="7", commit="abc", changed=True, cancelled=True)
    changed.write()

    assert Submission.read(submission.folder) == changed
    assert list(submissions(tmp_path / "output")) == [changed]


def test_launches_in_the_same_second_have_folders_of_their_own(options, jobs):
    folders = {Submission.create(options, "launchers.local", jobs).folder for _ in range(3)}

    assert len(folders) == 3


def test_a_launch_after_the_clock_was_set_back_is_still_the_later_one(options, jobs):
    first = replace(Submission.create(options, "launchers.local", jobs), submitted="2100-01-01")
    first.write()

    second = Submission.create(options, "launchers.local", jobs)
    second.write()

    assert [one.folder for one in submissions(options.output)] == [first.folder, second.folder]


def test_a_task_runs_its_config_and_reports(options, tmp_path):
    job = Job("sweep_1", tmp_path / "sweep_1.json", ("epochs=3",))
    submission = Submission.create(options, "launchers.local", [job])

    command = submission.command(1)
    environment = submission.environment(1, {"PATH": "/bin"})

    assert command[1:] == [
        str(tmp_path / "framework" / "experiment.py"),
        "--name=sweep_1",
        "with",
        str(tmp_path / "sweep_1.json"),
        "epochs=3",
    ]
    assert environment == {
        "PATH": "/bin",
        "DEEP_BOTTLENECK_REPORT": str(submission.folder / "reports" / "1.json"),
        "DEEP_BOTTLENECK_RUNS": str(tmp_path / "runs"),
    }


def test_a_task_that_is_started_again_goes_on_with_the_same_seed(submission, tell, tmp_path):
    (tmp_path / "runs" / "12").mkdir(parents=True)
    (tmp_path / "runs" / "12" / "config.json").write_text(json.dumps({"seed": 5}))
    for name in ("checkpoint.h5", "activations.h5"):
        (tmp_path / "runs" / "12" / name).touch()
    tell(2, "TIMEOUT")

    assert submission.command(2)[-1] == "seed=5"
    assert submission.environment(2, {})["DEEP_BOTTLENECK_CONTINUE"] == f"{tmp_path}/runs/12"
    assert "DEEP_BOTTLENECK_CONTINUE" not in submission.environment(1, {})


def test_a_task_that_goes_on_from_a_record_that_is_gone_is_one_sentence(options, jobs, tmp_path):
    job = replace(jobs[0], continues=tmp_path / "runs" / "77")
    submission = Submission.create(options, "launchers.local", [job])

    with pytest.raises(RecordError, match=r"77 is no experiment: there is no config\.json"):
        submission.command(1)


def test_a_config_in_a_folder_with_an_equals_sign_is_given_from_inside(
    options, tmp_path, monkeypatch
):
    folder = tmp_path / "lr=0.1"
    folder.mkdir()
    monkeypatch.chdir(folder)

    submission = Submission.create(options, "launchers.local", [Job("x", Path("x.json"))])

    assert submission.command(1)[-1] == "x.json"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r'lr=0.1/x.json has a "=" in its path, so Sacred would'):
        submission.command(1)


@pytest.mark.parametrize("config", ["lr=0.1/x.json", "lr=0.1.json"])
@pytest.mark.parametrize("launcher", ["local", "slurm"])
def test_a_config_that_no_experiment_can_be_given_is_refused_at_once(
    options, monkeypatch, tmp_path, launcher, config
):
    chosen = replace(options, experiment_script=ROOT / "experiment.py")
    module = importlib.import_module(f"deep_bottleneck.launchers.{launcher}")
    jobs = [Job("x", tmp_path / config)]

    for attempt in (module.load(chosen).preview, module.load(chosen).launch):
        with pytest.raises(ConfigError, match="rename the file or folder"):
            attempt(jobs)
    assert not options.output.exists()


@pytest.mark.parametrize("content", ["{", "{}", "[]", '"text"', "7", "[" * 9999, '{"tasks": []}'])
def test_a_damaged_launch_is_one_sentence_and_disturbs_no_other(submission, tmp_path, content):
    broken = tmp_path / "output" / "broken"
    broken.mkdir()
    (broken / "submission.json").write_text(content)

    with pytest.raises(RecordError, match=r"broken/submission.json is no launch"):
        Submission.read(broken)
    assert list(submissions(tmp_path / "output")) == [submission]


def test_an_output_folder_that_is_a_file_is_one_sentence(options, jobs, tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"file cannot be written.*DEEP_BOTTLENECK_OUTPUT"):
        Submission.create(replace(options, output=tmp_path / "file"), "launchers.local", jobs)


def test_an_installed_package_has_no_code_of_a_clone_to_copy(submission, tmp_path):
    script = tmp_path / "site-packages" / "deep_bottleneck" / "home" / "experiment.py"

    with pytest.raises(ConfigError, match="--snapshot copies the code of a clone"):
        copy_code(replace(submission, script=script))

    assert not (submission.folder / "code").exists()
