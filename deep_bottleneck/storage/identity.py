"""What makes a stored experiment, or a file of one, the same in a folder and in a database."""

import hashlib
import uuid
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from deep_bottleneck.storage.base import ExperimentId, utc

IDENTITY = "identity"
# what `identity_of` reads
OF_IDENTITY = (IDENTITY, "host", "start_time", "experiment.name")
_NAMESPACE = uuid.UUID("5b0f7c3e-3a0e-4a57-9d3b-6f1c1f0a5e21")


def identity_of(document: Mapping[str, Any], experiment_id: ExperimentId) -> str:
    """The identity of an experiment, which stays when it is copied under another id.

    It is the stored one, or follows from the machine, the time and the id it started with, so that
    records of plain Sacred have one too.

    Args:
        document: what Sacred stores in `run.json` or the collection "runs".
        experiment_id: its id there.
    """
    if stored := document.get(IDENTITY):
        return str(stored)
    start = utc(document.get("start_time"))
    machine = (document.get("host") or {}).get("hostname", "")
    name = (document.get("experiment") or {}).get("name", "")
    when = start.isoformat() if start else ""
    return str(uuid.uuid5(_NAMESPACE, f"{machine}/{when}/{name}/{experiment_id}"))


def kept_name(name: str, content: bytes) -> str:
    """What a source is called where those of all experiments are kept."""
    path = PurePath(name)
    return f"{path.stem}_{digest_of(content)}{path.suffix}"


def digest_of(content: bytes) -> str:
    """The MD5 of a file, by which Sacred tells the versions of a source from each other."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
