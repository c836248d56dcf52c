"""Start Keras on the backend that an experiment asks for."""

import gc
import importlib
import os
import sys
from types import ModuleType

from deep_bottleneck.errors import ConfigError


def start_keras(backend: str) -> None:
    """Import Keras on a backend; it can be chosen only once in a process.

    Args:
        backend: "torch", "tensorflow" or "jax".

    Raises:
        ConfigError: if the backend is not installed, or Keras runs on another one already.
    """
    # threads that spin while they wait are very slow on a machine that others share
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend
        # what is made without saying where is made there, also beside a GPU
        os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")
    try:
        keras = sys.modules.get("keras") or _imported_for_good("keras")
    except ImportError as error:
        raise ConfigError(
            f'"backend" is "{backend}" but it cannot be imported ({error}); install it with '
            f"pip install -r requirements/{backend}.txt"
        ) from error
    running = keras.backend.backend()
    if running != backend:
        raise ConfigError(
            f'"backend" is "{backend}" but Keras runs on "{running}" in this process already; '
            "start a new one"
        )


def _imported_for_good(name: str) -> ModuleType:
    """Import what stays until the process ends.

    The garbage collector need not look through it, neither while more and more of it is imported,
    nor later, nor at the end: that takes a third of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        if collects:
            gc.enable()
