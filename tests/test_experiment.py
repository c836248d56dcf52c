"""The command lines, as a user calls them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from deep_bottleneck.errors import RecordError
from deep_bottleneck.measuring.activation_store import ActivationStore
from deep_bottleneck.measuring.estimation import COLUMNS
from deep_bottleneck.storage.folder_store import FolderStore

ROOT = Path(__file__).resolve().parent.parent
# a child of a job in the background would ignore SIGINT, as its parents do
_HEARS_CTRL_C = ["env", "--default-signal=INT"]
SHORT = ["epochs=3", "n_runs=2", "architecture=[4,3]"]


@pytest.fixture
def environment(tmp_path):
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MONGO")}
    folders = {
        "DEEP_BOTTLENECK_RUNS": str(tmp_path / "runs"),
        "DEEP_BOTTLENECK_OUTPUT": str(tmp_path / "output"),
    }
    return {**outside, **folders, "KERAS_BACKEND": "torch"}


@pytest.fixture
def call(environment):
    def call(script, *arguments):
        command = [sys.executable, ROOT / script, *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )

    return call


def tables(folder):
    return {path.name: path.read_bytes() for path in folder.glob("information_measures_*.csv")}


def test_an_experiment_stores_tables_pictures_and_metrics(call, tmp_path):
    result = call("experiment.py", "with", "configs/basic.json", "seed=0", *SHORT)

    assert result.returncode == 0, result.stderr
    record = tmp_path / "runs" / "1"
    run = json.loads((record / "run.json").read_text())
    assert run["status"] == "COMPLETED"
    assert set(run["artifacts"]) == {
        "information_measures_train",
        "information_measures_test",
        "infoplane_train",
        "infoplane_test",
        "trust_train",
        "trust_test",
        "trust_plot_train",
        "trust_plot_test",
    }
    table = pd.read_csv(record / "information_measures_test.csv")
    assert tuple(table.columns) == (*COLUMNS, "module", "discretization_range", "options")
    assert table[["run", "epoch", "layer"]].to_numpy().tolist() == [
        [run, epoch, layer] for run in range(2) for epoch in range(3) for layer in range(3)
    ]
    metrics = json.loads((record / "metrics.json").read_text())
    assert set(metrics) == {"training.loss", "training.accuracy", "test.loss", "test.accuracy"}
    assert metrics["test.accuracy"]["steps"] == [0, 1, 2]
    assert "deep_bottleneck/training/ensemble.py" in {
        name for name, _ in run["experiment"]["sources"]
    }
    assert json.loads((record / "info.json").read_text())["device"]["torch"] == torch.__version__
    assert not (record / "activations.h5").exists()


@pytest.mark.slow
def test_a_stored_experiment_is_estimated_again_without_training(call, tmp_path):
    short = ["epochs=3", "architecture=[3]", "calculate_mi_for=test", "seed=0"]
    away = f"keep_activations={tmp_path / 'scratch'}"
    call("run_experiments.py", "-d", "configs/basic.json", away, *short)
    record = tmp_path / "runs" / "1"
    before = pd.read_csv(record / "information_measures_test.csv")
    arguments = ["--reestimate", "1", "--estimator", "mi_estimator.upper=0.1"]
    arguments += ["--estimator", "mi_estimator.binning"]

    first = call("run_experiments.py", *arguments)
    again = call("run_experiments.py", *arguments)

    assert first.returncode == 0, first.stderr
    after = pd.read_csv(record / "information_measures_binning_0.07_test.csv")
    pd.testing.assert_frame_equal(before, after)
    upper = pd.read_csv(record / "information_measures_upper_0.1_test.csv")
    assert set(upper["parameter"]) == {"noise variance 0.1"}
    pictures = {
        "infoplane_upper_0.1_test",
        "infoplane_binning_0.07_test",
        "trust_plot_upper_0.1_test",
    }
    assert pictures <= set(json.loads((record / "run.json").read_text())["artifacts"])
    assert all((record / f"{name}.png").exists() for name in pictures)
    assert again.returncode == 2
    assert "estimated with upper_0.1, binning_0.07 already" in again.stderr.splitlines()[-1]


@pytest.mark.slow
def test_several_estimators_see_one_training(call, write, tmp_path):
    estimators = ["mi_estimator.exact", ["mi_estimator.upper", 0.1], ["mi_estimator.upper", 0.01]]
    config = write("several.json", estimator=estimators, quantize_bits=4, calculate_mi_for="test")

    result = call("run_experiments.py", "-d", config, *SHORT)

    assert result.returncode == 0, result.stderr
    record = tmp_path / "runs" / "1"
    names = ("exact", "upper_0.1", "upper_0.01")
    tables = [pd.read_csv(record / f"information_measures_{name}_test.csv") for name in names]
    assert [table["estimator"][0] for table in tables] == ["exact", "upper", "upper"]
    assert (tables[1]["MI_XM"] <= tables[2]["MI_XM"] + 1e-6).all()
    for name in names:
        assert (record / f"infoplane_{name}_test.png").exists()
        assert (record / f"trust_{name}_test.csv").exists()
    checks = {name: set(pd.read_csv(record / f"trust_{name}_test.csv")["check"]) for name in names}
    assert checks["upper_0.1"] - checks["exact"] == {"parameter halved", "parameter doubled"}


@pytest.fixture
def few_images(data_folder, environment, tmp_path):
    """The first images of MNIST, in a folder that the command lines find."""
    if not (data_folder / "mnist.npz").exists():
        pytest.skip(f"there is no mnist.npz in {data_folder}")
    with np.load(data_folder / "mnist.npz") as arrays:
        few = {name: arrays[name][: 200 if "train" in name else 100] for name in arrays}
    np.savez(tmp_path / "mnist.npz", **few)
    environment["DEEP_BOTTLENECK_DATA"] = str(tmp_path)


@pytest.mark.slow
def test_lenet5_follows_its_efficiency_over_epochs(call, few_images, tmp_path):
    result = call("experiment.py", "with", "configs/efficiency/lenet5.json", "epochs=2", "n_runs=2")

    assert result.returncode == 0, result.stderr
    record = tmp_path / "runs" / "1"
    assert json.loads((record / "run.json").read_text())["artifacts"] == [
        "efficiency",
        "efficiency_plot",
    ]
    assert (record / "efficiency_plot.png").stat().st_size > 0
    table = pd.read_csv(record / "efficiency.csv")
    assert table[["run", "epoch", "name"]].to_numpy().tolist() == [
        [run, epoch, f"conv_{i}"] for run in (0, 1) for epoch in (0, 1) for i in (1, 2, 3)
    ]
    assert table["efficiency"].between(0, 1, inclusive="neither").all()
    assert table["undersampled"].dtype == bool
    metrics = json.loads((record / "metrics.json").read_text())
    assert metrics["efficiency.aIQ"]["steps"] == [0, 1]
    of_epoch = table.drop_duplicates(["run", "epoch"]).groupby("epoch")["aIQ"].mean()
    assert metrics["efficiency.aIQ"]["values"] == pytest.approx(of_epoch.tolist())


@pytest.mark.slow
def test_iris_follows_its_effective_information_over_epochs(call, tmp_path):
    config = "configs/effective_information/iris.json"

    result = call("experiment.py", "with", config, "epochs=2", "n_runs=2")

    assert result.returncode == 0, result.stderr
    record = tmp_path / "runs" / "1"
    names = ["effective_information", "weight_graph_information", "gradient_noise"]
    artifacts = [*names, *(f"{name}_plot" for name in names), "causal_plane"]
    assert sorted(json.loads((record / "run.json").read_text())["artifacts"]) == sorted(artifacts)
    table = pd.read_csv(record / "effective_information.csv")
    assert list(table.columns) == ["run", "epoch", "layer", "name", "measure", "value"]
    assert len(table) == 2 * 2 * 3 * 5
    assert table["value"].notna().all()
    metrics = json.loads((record / "metrics.json").read_text())
    chosen = table[(table["layer"] == 1) & (table["measure"] == "ei")]
    assert metrics["effective_information.layer_1.ei"]["values"] == pytest.approx(
        chosen.groupby("epoch")["value"].mean().tolist()
    )
    assert "weight_graph_information.network.ei" in metrics
    assert "gradient_noise.total.noise" in metrics


def test_a_damaged_data_set_is_one_sentence(call, environment, tmp_path):
    environment["DEEP_BOTTLENECK_DATA"] = str(tmp_path)
    (tmp_path / "mnist.npz").write_bytes(b"not an archive")

    result = call("experiment.py", "with", "configs/efficiency/lenet5.json")

    assert result.returncode == 2
    assert f"error: {tmp_path}/mnist.npz is not MNIST in Keras' format" in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads((tmp_path / "runs" / "1" / "run.json").read_text())["status"] == "FAILED"


@pytest.mark.slow
def test_the_last_lines_say_id_record_pictures_and_accuracy(call, tmp_path):
    result = call("experiment.py", "with", "configs/basic.json", *SHORT)

    last = result.stderr.splitlines()[-4:]
    assert "Experiment 1: COMPLETED" in last[0]
    assert f"Record: {tmp_path}/runs/1" in last[1]
    assert f"{tmp_path}/runs/1/infoplane_train.png" in last[2]
    assert "Final accuracy (mean over runs): train 0." in last[3]


@pytest.mark.slow
def test_the_same_config_and_seed_give_the_same_tables_bit_for_bit(call, tmp_path):
    for _ in range(2):
        call("experiment.py", "with", "configs/basic.json", "seed=5", *SHORT)

    first, second = (tables(tmp_path / "runs" / id_) for id_ in ("1", "2"))
    assert len(first) == 2
    assert first == second


@pytest.mark.slow
def test_full_callbacks_and_median_from_the_config(call, write, tmp_path):
    config = write(
        "wide.json",
        epochs=3,
        architecture=[3],
        n_runs=2,
        calculate_mi_for=["full_dataset"],
        plot_median=True,
        keep_activations=True,
        estimator="mi_estimator.upper",
        discretization_range=0.001,
        model="models.feedforward_batchnorm",
        dataset="datasets.harmonics_zero_mean",
        callbacks=[
            "callbacks.gradient_logger",
            ["callbacks.earlystopping_manual", ["val_acc", 0.0]],
            ["keras.callbacks.ReduceLROnPlateau", {"patience": 1}],
        ],
    )

    result = call("experiment.py", "with", str(config), "--name=wide")

    assert result.returncode == 0, result.stderr
    record = tmp_path / "runs" / "1"
    assert (record / "infoplane_full.png").exists()
    with ActivationStore(record / "activations.h5") as store:
        assert store.part("test").epochs == [0]
        assert set(store.gradients()["layer"]) == {0, 1}
    assert json.loads((record / "run.json").read_text())["experiment"]["name"] == "wide"


@pytest.mark.slow
def test_sacreds_own_commands_and_flags_work(call, tmp_path):
    printed = call("experiment.py", "print_config", "with", "configs/basic.json", "epochs=7")
    stored = call(
        "experiment.py",
        "-F",
        str(tmp_path / "elsewhere"),
        "--comment=tried",
        "with",
        "configs/basic.json",
        *SHORT,
    )

    assert "epochs = 7" in printed.stdout + printed.stderr
    assert stored.returncode == 0, stored.stderr
    run = json.loads((tmp_path / "elsewhere" / "1" / "run.json").read_text())
    assert run["meta"]["comment"] == "tried"


@pytest.mark.parametrize(
    ("updates", "sentence"),
    [
        (["epochs=-1"], '"epochs" is -1 but should be greater than 0'),
        (["epcohs=1"], 'unknown key "epcohs" (value 1); did you mean "epochs"?'),
        (["activation_fn=tahn"], 'did you mean "tanh"?'),
        (["dataset=datasets.harmonic"], "did you mean datasets.harmonics?"),
        (["callbacks=['keras.callbacks.CSVLogger']"], "filename"),
        (["backend=tensoflow"], 'did you mean "tensorflow"?'),
        (["n_runs=10000000"], "of memory, and this machine has"),
        (["epochs={[]: 1}"], "should be KEY=VALUE, with a VALUE of JSON's types or text"),
    ],
)
def test_a_mistake_ends_in_one_sentence_and_stores_nothing(call, tmp_path, updates, sentence):
    result = call("experiment.py", "with", "configs/basic.json", *updates)

    assert result.returncode == 2
    assert sentence in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_config_that_is_no_json_is_named(call, tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text("{")

    result = call("experiment.py", "with", str(broken))

    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(f"error: {broken}: not JSON")


@pytest.mark.slow
def test_sacred_takes_a_config_with_a_byte_order_mark(call, tmp_path):
    config = tmp_path / "first.json"
    config.write_text('{"epochs": 3}', encoding="utf-8-sig")

    printed = call("experiment.py", "print_config", "with", str(config))

    assert printed.returncode == 0, printed.stderr
    assert "epochs = 3" in printed.stdout


@pytest.mark.slow
def test_a_folder_of_configs_runs_to_its_end_and_says_how_each_went(call, write, tmp_path):
    write("configs/b/good.json", epochs=1, architecture=[2])
    write("configs/a.json", epochs=-1)
    write("configs/c.json", epochs=1, architecture=[2], learning_rate=1e-3)

    result = call("run_experiments.py", "-d", str(tmp_path / "configs"))

    assert result.returncode == 2
    rows = [line.split() for line in result.stdout.splitlines()[-3:]]
    assert [(Path(row[0]).name, *row[1:3]) for row in rows] == [
        ("a.json", "-", "INVALID"),
        ("good.json", "1", "COMPLETED"),
        ("c.json", "2", "COMPLETED"),
    ]


def test_a_dry_run_lists_and_checks_but_runs_nothing(call, write, tmp_path):
    write("configs/a.json", epochs=-1)
    write("configs/b.json", epochs=1)

    result = call("run_experiments.py", "-d", str(tmp_path / "configs"), "--dry-run")

    assert result.returncode == 2
    assert '"epochs" is -1' in result.stdout
    assert "b.json" in result.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-d", "absent.json"], "absent.json: there is no such file or folder"),
        (["-d", "configs/basic.json", "--launcher", "launchers.locla"], "did you mean"),
    ],
)
def test_a_mistaken_command_is_one_sentence(call, arguments, sentence):
    result = call("run_experiments.py", *arguments)

    assert result.returncode == 2
    assert sentence in result.stderr.splitlines()[-1]


@pytest.fixture
def running(environment, tmp_path):
    """An experiment that would train for hours, once it has recorded some epochs."""
    command = [sys.executable, ROOT / "experiment.py", "with", "configs/basic.json"]
    command += ["epochs=1000000", "n_runs=2", "architecture=[3]", "keep_activations=True"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            _HEARS_CTRL_C + command, cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        _wait_for(tmp_path / "runs" / "1")
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for(record):
    """Until epochs are in the store and the first metrics in the record."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            metrics = json.loads((record / "metrics.json").read_text())
            with ActivationStore(record / "activations.h5") as store:
                if metrics and len(store.part("train").epochs) > 3:
                    return
        except (OSError, RecordError):
            pass
        time.sleep(0.2)
    raise TimeoutError("the experiment recorded nothing within 90 seconds")


@pytest.mark.slow
def test_a_killed_experiment_leaves_config_metrics_and_epochs(running, tmp_path):
    running.send_signal(signal.SIGKILL)
    running.wait()

    record = tmp_path / "runs" / "1"
    assert FolderStore(tmp_path / "runs").entries([1])[1].status == "LOST"
    assert json.loads((record / "config.json").read_text())["epochs"] == 1000000
    assert json.loads((record / "run.json").read_text())["status"] == "RUNNING"
    assert json.loads((record / "metrics.json").read_text())["test.accuracy"]["values"]
    with ActivationStore(record / "activations.h5") as store:
        recorded = store.part("full")
        assert recorded.layer(recorded.epochs[-1], 1).shape == (2, 4096, 2)
        assert len(store.metrics()) > 0


def test_ctrl_c_ends_soon_and_is_stored_as_interrupted(running, tmp_path):
    running.send_signal(signal.SIGINT)
    running.wait(timeout=30)

    record = tmp_path / "runs" / "1"
    assert running.returncode == 130
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert json.loads((record / "run.json").read_text())["status"] == "INTERRUPTED"
    with ActivationStore(record / "activations.h5") as store:
        last_epoch = store.metrics()["epoch"].max()
    logged = json.loads((record / "metrics.json").read_text())["test.accuracy"]["steps"]
    assert abs(last_epoch - logged[-1]) <= 1


@pytest.mark.slow
def test_a_signal_ahead_of_a_kill_leaves_a_checkpoint(running, tmp_path):
    running.send_signal(signal.SIGUSR1)
    running.wait(timeout=60)

    record = tmp_path / "runs" / "1"
    assert running.returncode == 75
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert "The time is up" in (tmp_path / "log").read_text()
    assert json.loads((record / "run.json").read_text())["status"] == "TIMEOUT"
    assert (record / "checkpoint.h5").exists()


@pytest.mark.slow
def test_a_sweep_that_was_cut_short_is_resumed(call, write, tmp_path):
    path = write(
        "sweep.json", epochs=1, architecture=[2], seed=0, grid={"activation_fn": ["tanh", "relu"]}
    )
    call("run_experiments.py", "-d", path, "--only", "activation_fn=relu")

    planned = call("run_experiments.py", "-d", path, "--resume", "--dry-run")
    resumed = call("run_experiments.py", "-d", path, "--resume")

    assert [line.split()[-1] for line in planned.stdout.splitlines()[1:3]] == ["ready", "1"]
    assert resumed.returncode == 0, resumed.stderr
    rows = [line.split()[:3] for line in resumed.stdout.splitlines()[-1:]]
    assert rows == [["sweep_activation_fn-tanh", "2", "COMPLETED"]]
    sources = json.loads((tmp_path / "runs/2/run.json").read_text())["experiment"]["sources"]
    names = {name for name, _ in sources}
    assert {"experiment.py", "deep_bottleneck/mi_estimator/binning.py"} <= names
    assert "deep_bottleneck/mi_estimator/upper.py" not in names


def test_a_sweep_is_no_config_of_one_experiment(call, write):
    path = write("sweep.json", grid={"seed": [0, 1]})

    result = call("experiment.py", "with", str(path))

    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == (
        f"error: {path} is a sweep; run_experiments.py -d {path} runs it"
    )
