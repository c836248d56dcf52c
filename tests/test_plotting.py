"""Plotters in an experiment get what they say they need."""

from deep_bottleneck.config import Config
from deep_bottleneck.pipeline.plan import make_plan
from deep_bottleneck.pipeline.run import run_experiment


class Record:
    """Remembers the names of files."""

    def __init__(self):
        self.files = {}

    def log_scalar(self, name, value, step):
        pass

    def add_artifact(self, filename, name):
        self.files[name] = filename


def test_recorded_activations_are_drawn_and_pages_stored(tmp_path):
    config = Config.parse(
        {
            "dataset": "datasets.iris",
            "architecture": [4],
            "epochs": 2,
            "n_runs": 2,
            "seed": 0,
            "calculate_mi_for": "test",
            "plotters": ["plotter.interactive", ["plotter.similarity", ["svcca"]]],
        }
    )
    record = Record()

    run_experiment(config, make_plan(config), record, tmp_path)

    assert record.files["infoplane_interactive"] == str(tmp_path / "infoplane_interactive.html")
    assert {"similarity_layers_test", "similarity_epochs_test"} <= record.files.keys()
    assert not list(tmp_path.glob("*.h5"))
