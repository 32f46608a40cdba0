"""Logs as JSON lines, without texts.

Our own loggers and uvicorn's write messages that hold no text by design. Of every other library only the logger's name
and the level are written: nobody knows what its message may quote. Of an exception only its type and its place.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO

OURS = ("warmline", "uvicorn")
FIELDS = "fields"
"""Attribute of a record that holds further JSON fields: ``log.info("request", extra={FIELDS: {...}})``."""


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"time": moment, "level": record.levelname.lower(), "logger": record.name}
        ours = record.name.partition(".")[0] in OURS
        line["message"] = _one_line(record.getMessage()) if ours else "[withheld: another library's words]"
        line |= getattr(record, FIELDS, {})
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            if frames := traceback.extract_tb(record.exc_info[2]):
                line["at"] = f"{frames[-1].filename}:{frames[-1].lineno}"
        return json.dumps(line, ensure_ascii=False, default=str)


def write_json_lines(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send every log of this process to ``stream`` (standard error) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level)


def _one_line(message: str) -> str:
    return message.partition("\n")[0][:500]
