"""The experiment in MongoDB, as Sacred stores it, and what it leaves out."""

import logging
import mimetypes
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import DuplicateKeyError, PyMongoError
from sacred.observers import MongoObserver

from deep_bottleneck.errors import RecordError
from deep_bottleneck.mongo import MongoSettings
from deep_bottleneck.records.database import artifact_address
from deep_bottleneck.records.identity import IDENTITY, identity_of

logger = logging.getLogger(__name__)

DATABASE_PRIORITY = 30


class DatabaseRecord(MongoObserver):
    """The experiment in MongoDB, under the local record's id where that is still free."""

    def started_event(
        self,
        ex_info: Mapping[str, Any],
        command: str,
        host_info: Mapping[str, Any],
        start_time: datetime,
        config: Mapping[str, Any],
        meta_info: Mapping[str, Any],
        _id: Any,
    ) -> Any:
        """Insert the experiment; the id of the local record stays the experiment's."""
        local_id = int(_id) if str(_id).isdigit() else _id
        event = (ex_info, command, host_info, start_time, config, meta_info)
        try:
            super().started_event(*event, local_id)
        except DuplicateKeyError:
            super().started_event(*event, None)
            logger.info(
                "The database has an experiment %s already; this one is %s there.",
                local_id,
                self.run_entry["_id"],
            )
        return _id

    def completed_event(self, stop_time: datetime, result: Any) -> None:
        """Store the end and leave the database."""
        super().completed_event(stop_time, result)
        self._client.close()

    def interrupted_event(self, interrupt_time: datetime, status: str) -> None:
        """Store the end and leave the database."""
        super().interrupted_event(interrupt_time, status)
        self._client.close()

    def failed_event(self, fail_time: datetime, fail_trace: Sequence[str]) -> None:
        """Store the end and leave the database."""
        super().failed_event(fail_time, fail_trace)
        self._client.close()

    @staticmethod
    def _try_to_detect_content_type(filename: str) -> str | None:
        return mimetypes.guess_type(filename)[0]
