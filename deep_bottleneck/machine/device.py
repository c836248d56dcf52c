"""Where networks train and layers are measured: the one place that decides on a device."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import FloatArray

if TYPE_CHECKING:
    # what measures works where it is not installed
    import keras

_DRIVER = Path("/proc/driver/nvidia/version")


def choose(wanted: str, backend: str) -> torch.device:
    """The device that a config asks for, made sure of.

    Args:
        wanted: "auto" for a visible CUDA device or else the CPU; "cpu", "cuda" or "cuda:1".
        backend: what Keras runs on. What trains there and PyTorch, which measures, must both see
            the device; tensorflow cannot be told where.

    Raises:
        ConfigError: if the device is not there, or cannot be chosen on this backend.
    """
    if backend == "tensorflow":
        if wanted != "auto":
            raise ConfigError(
                f'"device" is "{wanted}" but the backend {backend} chooses its device itself; '
                'leave "device" out, or set "backend" to "jax"'
            )
        return torch.device("cpu")
    if wanted == "cpu":
        return torch.device("cpu")
    seen = _visible(backend)
    n_devices = min(seen.values())
    if wanted == "auto":
        return torch.device("cuda:0" if n_devices else "cpu")
    index = torch.device(wanted).index or 0
    for library, number in seen.items():
        if not number:
            raise ConfigError(
                f'"device" is "{wanted}" but {library} sees no CUDA device on {platform.node()}; '
                'set "device" to "cpu" or "auto"'
            )
        if index >= number:
            known = ", ".join(f"cuda:{one}" for one in range(number))
            raise ConfigError(f'"device" is "{wanted}" but {library} sees only {known}')
    return torch.device("cuda", index)


def _visible(backend: str) -> dict[str, int]:
    """How many CUDA devices there are for what measures, and for what trains."""
    seen = {f"PyTorch {torch.__version__}": torch.cuda.device_count()}
    if backend == "jax":
        import jax

        try:
            seen[f"JAX {jax.__version__}"] = len(jax.devices("cuda"))
        except RuntimeError:
            seen[f"JAX {jax.__version__}"] = 0
    return seen


def description(device: torch.device) -> dict[str, Any]:
    """What the record of an experiment says about its device, in JSON's types.

    Returns:
        "device" and "torch"; of a CUDA device also its "name", its "memory_bytes", the version of
        "cuda" that torch was built with, and the "driver" where the system tells it.
    """
    found: dict[str, Any] = {"device": str(device), "torch": str(torch.__version__)}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "name": properties.name,
            "memory_bytes": properties.total_memory,
            "cuda": torch.version.cuda,
            "driver": _driver(),
        }
    return found


@contextmanager
def chosen(device: torch.device) -> Iterator[None]:
    """Let Keras and torch make what they make on a device while the context lasts.

    Keras on tensorflow stays where it is.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        yield
        return
    on_card = device.type == "cuda"
    index = device.index or 0
    with (
        keras.device(f"gpu:{index}" if on_card else "cpu"),
        torch.cuda.device(index if on_card else -1),
    ):
        yield


def of(model: "keras.Model") -> torch.device:
    """Where the weights of a model lie (torch backend)."""
    return model.variables[0].value.device if model.variables else torch.device("cpu")


def place(model: "keras.Model", device: torch.device) -> None:
    """Move a compiled model with all it counts and remembers (torch backend)."""
    optimizer = model.optimizer.variables
    for variable in (*model.variables, *optimizer, *model.metrics_variables):
        variable.value.data = variable.value.detach().to(device)


def select(values: Any, rows: Sequence[int] | np.ndarray[Any, Any]) -> Any:
    """Some rows of a tensor or an array; all of them, as they are, where that is what is asked."""
    if len(rows) == len(values):
        return values
    if isinstance(values, torch.Tensor):
        return values[torch.as_tensor(rows, device=values.device)]
    return values[rows]


def to_host(values: Sequence[torch.Tensor | np.ndarray[Any, Any]]) -> list[FloatArray]:
    """Tensors as arrays; from a CUDA device all are copied at once, and waited for once."""
    tensors = [torch.as_tensor(array) for array in values]
    copies = [tensor.to("cpu", non_blocking=True) for tensor in tensors]
    for device in {tensor.device for tensor in tensors if tensor.is_cuda}:
        torch.cuda.current_stream(device).synchronize()
    return [copy.numpy() for copy in copies]


def _driver() -> str | None:
    """The driver's own line about its version, None where the system has none."""
    try:
        return _DRIVER.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return None
