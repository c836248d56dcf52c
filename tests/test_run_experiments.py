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
