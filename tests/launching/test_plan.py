import json

import pytest

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.launching.plan import LaunchPlan


@pytest.fixture
def activations(write):
    return write(
        "configs/s.json", epochs=2, grid={"activation_fn": ["tanh", "relu"], "seed": [0, 1]}
    )


def names(plan):
    return [experiment.combination.name for experiment in plan.experiments]


def test_each_combination_is_a_job_with_a_config_of_its_own(activations, tmp_path):
    jobs = LaunchPlan.make(activations, ["epochs=3"]).jobs(tmp_path / "runs")

    assert [job.name for job in jobs] == [job.config.stem for job in jobs]
    assert len({job.config for job in jobs}) == 4
    assert json.loads(jobs[3].config.read_text()) == {
        "epochs": 3,
        "activation_fn": "relu",
        "seed": 1,
    }
    assert all(job.updates == () for job in jobs)


def test_another_launch_leaves_the_configs_of_the_first_alone(activations, tmp_path):
    first = LaunchPlan.make(activations).jobs(tmp_path)
    again = LaunchPlan.make(activations).jobs(tmp_path)
    other = LaunchPlan.make(activations, ["epochs=3"]).jobs(tmp_path)

    assert [job.config for job in first] == [job.config for job in again]
    assert json.loads(first[0].config.read_text())["epochs"] == 2
    assert json.loads(other[0].config.read_text())["epochs"] == 3


def test_a_plain_config_is_launched_as_it_is(write, tmp_path):
    path = write("configs/plain.json", epochs=2)

    (job,) = LaunchPlan.make(path, ["seed=1"]).jobs(tmp_path)

    assert (job.name, job.config, job.updates) == (str(path), path, ("seed=1",))


def test_the_table_has_a_column_for_each_varied_key(activations, write):
    write("configs/t.json", grid={"optimizer": ["sgd"]})

    lines = LaunchPlan.make(activations.parent).table().splitlines()

    assert lines[0].split() == ["experiment", "activation_fn", "seed", "optimizer", "check"]
    assert lines[1].split() == ["s_activation_fn-tanh_seed-0", "tanh", "0", "ready"]
    assert lines[5].split() == ["t_optimizer-sgd", "sgd", "ready"]
    assert lines[-1] == "5 experiments"


def test_mistakes_stand_below_the_table_each_of_them_once(write):
    path = write("configs/s.json", grid={"seed": [0, 1, 2]}, epochs=2)

    *table, count, mistake = LaunchPlan.make(path, ["activation_fn=Relu"]).table().splitlines()

    assert [line.split()[1:] for line in table[1:]] == [
        [str(seed), "wrong,", "see", "below"] for seed in range(3)
    ]
    assert max(map(len, table)) < 60
    assert count == "3 experiments"
    assert mistake.startswith('error: s_seed-0 and 2 others: the config: "activation_fn" is "Relu"')
    assert mistake.endswith('did you mean "relu"?')


@pytest.mark.parametrize(
    ("only", "kept"),
    [
        (["activation_fn=relu"], ["s_activation_fn-relu_seed-0", "s_activation_fn-relu_seed-1"]),
        (["activation_fn=relu", "seed=1"], ["s_activation_fn-relu_seed-1"]),
        (["dataset=harmonics", "seed=1", "activation_fn=tanh"], ["s_activation_fn-tanh_seed-1"]),
        (["architecture=[10,7,5,4,3]", "seed=1", "epochs=2", "activation_fn=tanh"], None),
    ],
)
def test_only_filters_by_given_and_default_values(activations, only, kept):
    plan = LaunchPlan.make(activations, only=only)

    assert names(plan) == (kept or ["s_activation_fn-tanh_seed-1"])


@pytest.mark.parametrize(
    ("only", "sentence"),
    [
        ("activation_fn=elu", 'no experiment has this "activation_fn"; there are tanh, relu'),
        ("activation=tanh", 'no hyperparameter "activation"'),
        ("tanh", "should be KEY=VALUE"),
    ],
)
def test_a_filter_that_fits_nothing_is_one_sentence(activations, only, sentence):
    with pytest.raises(ConfigError, match=sentence):
        LaunchPlan.make(activations, only=[only])


@pytest.mark.parametrize(
    ("varied", "sentence"),
    [
        ({"epochs": [1, -1]}, r's_epochs--1: the config: "epochs" is -1'),
        ({"model": ["models.feedforward", "models.feedforwrd"]}, "did you mean models.feedforward"),
        ({"plotters": [["plotter.efficienzy"]]}, "did you mean plotter.efficiency"),
        ({"epcohs": [1]}, 'unknown key "epcohs"'),
        ({"estimator": [[["mi_estimator.kraskov", 0.07]]]}, "needs a whole number"),
        ({"estimator": ["mi_estimator.exact"]}, 'set "quantize_bits"'),
    ],
)
def test_a_mistake_in_any_combination_is_found_before_anything_starts(
    write, tmp_path, varied, sentence
):
    plan = LaunchPlan.make(write("configs/s.json", grid=varied))

    assert plan.has_mistakes
    with pytest.raises(ConfigError, match=sentence):
        plan.jobs(tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_thorough_plan_writes_down_what_it_has_checked(write, tmp_path):
    path = write("configs/plain.json", epochs=3)

    (job,) = LaunchPlan.make(path, ["seed=1"], thorough=True).jobs(tmp_path / "runs")
    path.write_text("{}")

    assert job.config.name == "plain.json"
    assert json.loads(job.config.read_text()) == {"epochs": 3, "seed": 1}
    assert job.updates == ()
