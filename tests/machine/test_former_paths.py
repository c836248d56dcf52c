import importlib
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("before", "now", "name"),
    [
        ("recorder", "training.recorder", "Recorder"),
        ("ensemble", "training.ensemble", "Ensemble"),
        ("cluster.submission", "launching.submission", "Submission"),
        ("settings", "machine.environment", "RUNS_VARIABLE"),
        ("settings", "storage.names", "CHECKPOINT"),
        ("checkpoint", "training.checkpoint", "Checkpoint"),
        ("checkpoint", "training.continuation", "Checkpoints"),
        ("datasets.base_dataset", "interfaces", "LabelledDataset"),
        ("eval_tools.artifact", "eval_tools.artifacts", "PNGArtifact"),
        ("eval_tools.experiment_loader", "eval_tools.loader", "ExperimentLoader"),
        ("eval_tools.utils", "eval_tools.configs", "find_differing_config_keys"),
        ("mi_estimator.base", "interfaces", "MutualInformationEstimator"),
        ("plotter.base", "interfaces", "BasePlotter"),
        ("causal.vector_measures", "causal.measures", "vector_and_pairwise_ei"),
        ("causal.parts_measures", "causal.measures", "ei_parts_matrix"),
        ("causal.sensitivity_measures", "causal.measures", "sensitivity"),
        ("causal.topology", "causal.network.topology", "topology_of"),
    ],
)
def test_what_was_promised_is_still_found(before, now, name):
    was, is_ = (importlib.import_module(f"deep_bottleneck.{path}") for path in (before, now))

    assert getattr(was, name) is getattr(is_, name)


def test_what_never_was_there_is_not_found():
    with pytest.raises(ImportError, match=r"cannot import name 'Recoder'"):
        from deep_bottleneck.recorder import Recoder  # noqa: F401
    with pytest.raises(ModuleNotFoundError, match=r"deep_bottleneck\.cluster\.slurm"):
        importlib.import_module("deep_bottleneck.cluster.slurm")


def test_a_job_script_of_before_still_starts_its_task(tmp_path):
    command = [sys.executable, "-m", "deep_bottleneck.cluster.task", str(tmp_path), "1"]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert str(tmp_path) in result.stderr.splitlines()[-1]
