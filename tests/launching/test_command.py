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


def test_a_dry_run_refuses_a_config_that_cannot_be_launched(write, capsys):
    with pytest.raises(SystemExit):
        run_experiments.main(["-d", str(write("lr=0.1/small.json")), "--dry-run"])

    assert 'small.json has a "=" in its path' in capsys.readouterr().err
