"""Start Keras on the backend that an experiment asks for."""

import gc
import hashlib
import importlib
import logging
import os
import platform
import re
import sys
from pathlib import Path
from types import ModuleType

from platformdirs import user_cache_path

from deep_bottleneck.errors import ConfigError

# of programs that XLA has compiled, after which those go that were not used for longest
MOST_BYTES_COMPILED = 2**30


def start_keras(backend: str) -> None:
    """Import Keras on a backend; it can be chosen only once in a process.

    Args:
        backend: "jax", "torch" or "tensorflow".

    Raises:
        ConfigError: if the backend is not installed, or Keras runs on another one already.
    """
    # threads that spin while they wait are very slow on a machine that others share
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend
        for variable, value in _preferences().items():
            os.environ.setdefault(variable, value)
    try:
        keras = sys.modules.get("keras") or _imported_for_good("keras")
    except ImportError as error:
        raise ConfigError(
            f'"backend" is "{backend}" but it cannot be imported ({error}); install it with '
            f"pip install -r requirements/{backend}.txt"
        ) from error
    # it looks for a TPU on every machine, and tells so
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)
    if backend != "tensorflow" and "tensorflow" not in sys.modules:
        _hide_tensorflow()
    running = keras.backend.backend()
    if running != backend:
        raise ConfigError(
            f'"backend" is "{backend}" but Keras runs on "{running}" in this process already; '
            f'start a new one, or set "backend" to "{running}"'
        )


def _hide_tensorflow() -> None:
    """Let Keras not import TensorFlow, where it is installed, to ask whether something is of it.

    That takes seconds. What needs TensorFlow, as `keras.callbacks.TensorBoard` does, imports it.
    """
    from keras.src.utils.module_utils import tensorflow

    tensorflow._available = False


def _preferences() -> dict[str, str]:
    """How backends are to behave, unless the environment says otherwise."""
    return {
        # what is made without saying where is made there, also beside a GPU
        "KERAS_TORCH_DEVICE": "cpu",
        # PyTorch measures on the card on which JAX trains
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "JAX_COMPILATION_CACHE_DIR": str(_compiled_programs()),
        "JAX_COMPILATION_CACHE_MAX_SIZE": str(MOST_BYTES_COMPILED),
        # small programs are most of a start
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        # TensorFlow says on any backend what it was built for, once something imports it
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def _compiled_programs() -> Path:
    """The folder for what XLA compiles, for processors of one kind: clusters share homes."""
    try:
        known = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        known = platform.processor()
    kind = re.findall(r"^(?:model name|flags|Features)\s*: (.*)$", known, re.MULTILINE)[:2]
    name = hashlib.sha256(repr((platform.machine(), kind or known)).encode()).hexdigest()[:16]
    return user_cache_path("deep-bottleneck") / "programs" / name


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
