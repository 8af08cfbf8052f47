"""Logs without names: what a request line may say, and no more."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

from django.http import HttpRequest

from lucidray_clinic.core.addresses import route_of
from lucidray_clinic.core.origin import request_number

_QUERY = re.compile(r"\?[^\s\"']*")
_BREAKS = re.compile(r"[\x00-\x1f\x7f]+")  # so that nobody writes lines of their own
_ONE_TIME = re.compile(r"(/sign-in/)[^\s/\"']+")


class NoNames(logging.Filter):
    """Cut query strings, one-time links and tracebacks' values from every line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; every record passes."""
        text = _BREAKS.sub(" ", record.getMessage())
        asked = getattr(record, "request", None)
        if isinstance(asked, HttpRequest):  # somebody may have typed a name into an address
            text = text.replace(asked.path, route_of(asked))
        text = _ONE_TIME.sub(r"\1…", _QUERY.sub("", text))
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text} [{told_without_values(record.exc_info[1])}]"
        record.msg, record.args, record.exc_info, record.exc_text = text, (), None, None
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line, for programs that gather logs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; facts that were given beside the message stand in it by name."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request": request_number(),
        }
        facts = getattr(record, "facts", {})
        return json.dumps({key: value for key, value in told.items() if value} | facts)


def told_without_values(error: BaseException) -> str:
    """Say which error happened where, without its message, which may hold a name.

    Args:
        error: What was raised.

    >>> told_without_values(ValueError("Anna Example, born 1950"))
    'ValueError'
    """
    trace, last = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if "lucidray" in code.co_filename or not last:
            last = f" in {code.co_name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}{last}"
