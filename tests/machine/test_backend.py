import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NETWORK = """
import sys
from deep_bottleneck.machine.backend import start_keras

start_keras("jax")

import keras
from deep_bottleneck.models import feedforward
from deep_bottleneck.training.lockstep.obstacles import obstacle

keras.utils.set_random_seed(1)
models = [feedforward.load([3], "tanh", "adam", 0.01, 4, 2) for _ in range(2)]
assert obstacle(models) is None
print(sorted({"tensorflow", "torch", "jax"} & set(sys.modules)))
"""


def test_no_network_on_jax_imports_tensorflow():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-c", NETWORK], env=environment, capture_output=True, text=True, check=True
    )

    assert "tensorflow" not in done.stdout
    assert "tensorflow" not in done.stderr.lower()
