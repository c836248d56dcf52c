"""Where networks train and layers are measured: the one place that decides on a device."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import FloatArray

_DRIVER = Path("/proc/driver/nvidia/version")


def choose(wanted: str, backend: str) -> torch.device:
    """The device that a config asks for, made sure of.

    Args:
        wanted: "auto" for a visible CUDA device or else the CPU; "cpu", "cuda" or "cuda:1".
        backend: what Keras runs on; only torch can be told where.

    Raises:
        ConfigError: if the device is not there, or cannot be chosen on this backend.
    """
    if backend != "torch":
        if wanted != "auto":
            raise ConfigError(
                f'"device" is "{wanted}" but the backend {backend} chooses its device itself; '
                'leave "device" out, or set "backend" to "torch"'
            )
        return torch.device("cpu")
    n_devices = torch.cuda.device_count()
    if wanted == "auto":
        return torch.device("cuda:0" if n_devices else "cpu")
    device = torch.device(wanted)
    if device.type == "cpu":
        return device
    if not n_devices:
        raise ConfigError(
            f'"device" is "{wanted}" but PyTorch {torch.__version__} sees no CUDA device on '
            f'{platform.node()}; set "device" to "cpu" or "auto"'
        )
    index = device.index or 0
    if index >= n_devices:
        known = ", ".join(f"cuda:{number}" for number in range(n_devices))
        raise ConfigError(f'"device" is "{wanted}" but PyTorch sees only {known}')
    return torch.device("cuda", index)


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
    """Let Keras and torch make what they make on a device while the context lasts."""
    index = device.index if device.type == "cuda" else -1
    with keras.device(str(device)), torch.cuda.device(index):
        yield


def of(model: keras.Model) -> torch.device:
    """Where the weights of a model lie (torch backend)."""
    return model.variables[0].value.device if model.variables else torch.device("cpu")


def place(model: keras.Model, device: torch.device) -> None:
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


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy of a tensor of the host on a device; the host does not wait for a CUDA device."""
    if device.type != "cuda":
        return tensor.to(device)
    # the allocator of pinned memory keeps this page until the copy is done
    return tensor.pin_memory().to(device, non_blocking=True)


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
