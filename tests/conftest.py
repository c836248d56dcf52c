"""What all tests share: the jax backend, the data folder, small problems, opt-in suites."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
if os.environ["KERAS_BACKEND"] == "jax":
    # networks of tests train for moments: XLA takes longer to optimise their programs than they run
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    )
# also beside a GPU: a test that wants one says so
os.environ["KERAS_TORCH_DEVICE"] = "cpu"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if processes := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(processes))))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import pytest
import torch

from benchmarks.mongo_server import mongo_server
from deep_bottleneck.interfaces import Dataset, LabelledDataset
from deep_bottleneck.machine.processes import name_of
from deep_bottleneck.models import feedforward

ROOT = Path(__file__).resolve().parent.parent

if keras.backend.backend() == "jax":
    import jax

    # most tests of networks train the same few; one folder for each process, so that none waits
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    jax.config.update(
        "jax_compilation_cache_dir", str(ROOT / ".pytest_cache" / "programs" / worker)
    )
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="run tests that take minutes")
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out tests that start processes, train networks or try many examples",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-slow"):
        # first, so that no process is left with them while the others have nothing to do
        long = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in long)
    if config.getoption("--quick"):
        items[:] = [item for item in items if not _takes_long(item)]
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--run-slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes; run with --run-slow"))
        backend = item.get_closest_marker("backend")
        if backend and backend.args[0] != keras.backend.backend():
            item.add_marker(pytest.mark.skip(reason=f"needs the {backend.args[0]} backend"))
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests of many examples have counted."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, counted in report.user_properties:
                terminalreporter.write_line(f"{name}: {counted}")


SERVICES = {"mongo_uri", "browser"}
# what a module that starts programs or trains networks has of its own or imports
LONG = ("subprocess", "run_experiment", "reader", "Ensemble", "SequentialGroup", "given")


def _takes_long(item: pytest.Item) -> bool:
    """Whether a test asks for a service, or may start programs, train or try many examples."""
    assert isinstance(item, pytest.Function)
    lockstep = "lockstep" in item.path.parts
    asks = SERVICES & set(item.fixturenames)
    return bool(asks) or lockstep or any(hasattr(item.module, name) for name in LONG)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real data sets that are not part of the project."""
    folder = Path(os.environ.get("DEEP_BOTTLENECK_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the data folder {folder} is absent; name one in DEEP_BOTTLENECK_DATA")
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a JSON config in the test's folder."""

    def write(name: str, **values: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(json.dumps(values))
        return path

    return write


@pytest.fixture
def ended_process() -> str:
    """The name of a process of this machine that has ended."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        return name_of(process.pid)


@pytest.fixture
def tiny_dataset() -> Dataset:
    """Two classes of 4 numbers: is their sum positive?"""
    generator = np.random.default_rng(0)

    def part(n_examples: int) -> LabelledDataset:
        examples = generator.standard_normal((n_examples, 4))
        return LabelledDataset.from_labels(examples, examples.sum(axis=1) > 0, n_classes=2)

    return Dataset(train=part(50), test=part(20), n_classes=2)


@pytest.fixture
def make_models():
    """Makes compiled networks for the tiny data set, each run with weights of its own."""

    def make(n_runs: int, load=feedforward.load, **changes) -> list[keras.Model]:
        arguments = {
            "architecture": [5, 3],
            "activation_fn": "tanh",
            "optimizer": "adam",
            "learning_rate": 0.01,
            "input_size": 4,
            "output_size": 2,
            **changes,
        }
        models = []
        for run in range(n_runs):
            keras.utils.set_random_seed(run)
            models.append(load(**arguments))
        return models

    return make


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MongoDB connection: TEST_MONGO_URI, or a server of our own."""
    if os.environ.get("TEST_MONGO_URI"):
        yield os.environ["TEST_MONGO_URI"]
        return
    with mongo_server(tmp_path_factory.mktemp("mongo")) as server:
        yield server.uri
