import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def loaded_after(code: str) -> set[str]:
    """The top-level packages that are loaded after running the code in a fresh interpreter."""
    report = f"{code}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    finished = subprocess.run(
        [sys.executable, "-c", report], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(finished.stdout.split())


def test_torch_networks_need_neither_keras_nor_the_experiment():
    loaded = loaded_after(
        "import torch, deep_bottleneck.state_space as ts\n"
        "network = ts.build_efficiency_model(torch.nn.Linear(2, 3), 'Linear')\n"
        "network(torch.ones(4, 2))\n"
        "ts.network_efficiency(network)"
    )

    assert not loaded & {"keras", "tensorflow", "sacred", "pymongo", "zarr", "pydantic", "h5py"}
