"""What an experiment imports, for a server that imports it before it forks."""

import git  # noqa: F401  which Sacred imports when it runs

from deep_bottleneck.config import Config
from deep_bottleneck.machine.backend import start_keras

start_keras(Config().backend)

import deep_bottleneck.pipeline.run  # noqa: E402
import deep_bottleneck.storage.observers  # noqa: E402, F401
from deep_bottleneck.pipeline.plan import make_plan  # noqa: E402

# the usual plug-ins
make_plan(Config())
