import keras
import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.pipeline.loading import load_callbacks
from deep_bottleneck.pipeline.plan import make_plan


def config(*callbacks, n_runs=2):
    return Config.parse({"callbacks": list(callbacks), "n_runs": n_runs})


@pytest.mark.parametrize(
    "callback",
    [
        ["keras.callbacks.CSVLogger", ["log.csv"]],
        ["keras.callbacks.ModelCheckpoint", ["w_{epoch}.weights.h5"]],
        ["keras.callbacks.BackupAndRestore", [], {"backup_dir": "backup"}],
        ["keras.callbacks.TensorBoard", [], {"log_dir": "logs"}],
    ],
    ids=lambda callback: callback[0].rpartition(".")[2],
)
def test_runs_do_not_write_into_one_file(callback):
    with pytest.raises(ConfigError, match=r"of several runs would write into one file; put \{run"):
        make_plan(config(callback))

    make_plan(config(callback, n_runs=1))


def test_the_number_of_a_run_in_a_path_gives_each_its_own():
    chosen = config(["keras.callbacks.CSVLogger", ["run_{run}/log.csv"]])
    loggers = [
        one for one in make_plan(chosen).callbacks if one.target is keras.callbacks.CSVLogger
    ]

    recorders, of_runs = load_callbacks(loggers, {}, 2)

    assert recorders == []
    assert [own.filename for (own,) in of_runs] == ["run_0/log.csv", "run_1/log.csv"]


def paths(components):
    return [component.path for component in components]


def test_a_plotter_brings_the_callback_that_leaves_its_table():
    chosen = Config.parse({"plotters": ["plotter.snr", "plotter.causal_plane"]})

    callbacks = paths(make_plan(chosen).callbacks)

    assert callbacks[-2:] == ["callbacks.gradient_logger", "callbacks.effective_information"]


def test_a_callback_of_the_config_that_leaves_the_table_is_not_brought_again():
    values = {"plotters": ["plotter.efficiency"], "callbacks": [["callbacks.efficiency", [3]]]}

    efficiency = [
        one for one in make_plan(Config.parse(values)).callbacks if one.path.endswith("efficiency")
    ]

    assert [list(one.arguments) for one in efficiency] == [[3]]


def test_a_plotter_that_expects_of_a_callback_what_it_does_not_leave(tmp_path, monkeypatch):
    (tmp_path / "hopeful.py").write_text(
        'NEEDED_TABLES = {"weather": "callbacks.efficiency"}\ndef load(): ...\n'
    )
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(
        ConfigError, match=r'"weather" and says that callbacks.efficiency leaves it'
    ):
        make_plan(Config.parse({"plotters": ["hopeful"]}))
