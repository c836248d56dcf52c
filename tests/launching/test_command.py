import pytest

import run_experiments


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--estimator", "mi_estimator.upper"], "is no experiment: there is no config.json"),
        ([], "--reestimate needs an estimator"),
        (["--estimator", "mi_estimator.upper=wide"], "'wide' is no number"),
    ],
)
def test_what_cannot_be_estimated_again_is_one_sentence(
    arguments, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("DEEP_BOTTLENECK_RUNS", str(tmp_path))

    with pytest.raises(SystemExit) as end:
        run_experiments.main(["--reestimate", "7", *arguments])

    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--submit-args=-l 'x"], "--submit-args=-l 'x cannot be read as a shell does: No closing"),
        (
            ["--launcher", "slurm", "--resource", "gpus=x"],
            '"gpus" is "x" but should be a valid integer',
        ),
    ],
)
def test_a_mistake_in_an_option_is_one_sentence(write, capsys, arguments, sentence):
    with pytest.raises(SystemExit) as end:
        run_experiments.main(["-d", str(write("small.json")), "--dry-run", *arguments])

    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["configs/basic.json"], "to run configs/basic.json, write -d configs/basic.json"),
        (["-d", "configs/cohort_5"], "did you mean configs/cohorts/cohort_05.json?"),
        (["-d", "configs/basic.json", "--epochs=5"], "no option --epochs=5: write epochs=5"),
        (["-d", "configs/basic.json", "--fast"], "there is no option --fast; --help lists them"),
        (["-c", "configs/basic.json", "-l", "False"], "--launcher sge submits to a cluster"),
    ],
)
def test_what_was_meant(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as end:
        run_experiments.main([*arguments, "--dry-run"])

    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


def test_the_options_of_earlier_years(write, capsys):
    small = str(write("small.json"))

    assert run_experiments.main(["--configpath", small, "-l", "True", "--dry-run"]) == 0
    assert "ready" in capsys.readouterr().out


def test_a_dry_run_refuses_a_config_that_cannot_be_launched(write, capsys):
    with pytest.raises(SystemExit):
        run_experiments.main(["-d", str(write("lr=0.1/small.json")), "--dry-run"])

    assert 'small.json has a "=" in its path' in capsys.readouterr().err


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A command in place of Slurm's that takes everything, and the file that it leaves then."""
    taken = tmp_path / "taken"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sbatch").write_text(f"#!/bin/sh\ntouch {taken}\necho 17\n")
    (tmp_path / "bin" / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("DEEP_BOTTLENECK_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("DEEP_BOTTLENECK_RUNS", str(tmp_path / "runs"))
    return taken


@pytest.mark.parametrize(
    "launcher", ["slurm", "launchers.slurm", "deep_bottleneck.launchers.slurm"]
)
def test_a_cluster_gets_all_experiments_or_none_whatever_its_launcher_is_called(
    write, slurm, capsys, launcher
):
    right = write("configs/a.json", epochs=2)
    wrong = write("configs/b.json", epochs=2, dataset="datasets.not_there")
    command = ["-d", str(right.parent), "--launcher", launcher]

    with pytest.raises(SystemExit) as end:
        run_experiments.main(command)

    assert end.value.code == 2
    assert "no module 'datasets.not_there' can be imported" in capsys.readouterr().err
    assert not slurm.exists()
    wrong.unlink()
    assert run_experiments.main(command) == 0
    assert slurm.exists()
