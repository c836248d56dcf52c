"""The frameworks that an experiment imports, for a server that imports them before it forks."""

from deep_bottleneck.config import Config
from deep_bottleneck.machine.backend import start_keras

start_keras(Config().backend)

import deep_bottleneck.pipeline.run  # noqa: E402
import deep_bottleneck.storage.observers  # noqa: E402, F401
