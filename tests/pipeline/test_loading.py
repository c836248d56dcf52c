"""What the plug-ins of an experiment give, before anything is trained."""

import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.pipeline.loading import load_experiment
from deep_bottleneck.pipeline.plan import make_plan

WRAPPING = """
import keras
import torch


def load(input_size, output_size):
    module = torch.nn.{module}
    return keras.Sequential(
        [
            keras.Input((input_size,)),
            keras.layers.TorchModuleWrapper(module, name="wrapped", output_shape=(None, 4)),
            keras.layers.Dense(output_size, "softmax"),
        ]
    )
"""


@pytest.mark.parametrize("module", ["Linear(4, 4)", "Tanh()"])
def test_a_module_of_pytorch_is_refused_where_it_cannot_train(module, tmp_path, monkeypatch):
    name = f"wrapping_{module[:4].lower()}"
    (tmp_path / f"{name}.py").write_text(WRAPPING.format(module=module))
    monkeypatch.syspath_prepend(tmp_path)
    config = Config.parse({"model": name, "dataset": "datasets.iris", "seed": 0})

    with pytest.raises(ConfigError, match=r'"model": wrapped is a module of PyTorch, .*"torch"$'):
        load_experiment(config, make_plan(config), None, tmp_path)
