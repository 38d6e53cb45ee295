"""The log as lines of JSON: ``twistd --logger twisted_chat.logs.as_json``."""

import json
import sys
from getopt import getopt
from pathlib import Path

from twisted.logger import FileLogObserver, ILogObserver, LogEvent, formatEvent
from twisted.python.logfile import LogFile
from twisted.python.reflect import safe_str
from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]

from twisted_chat.heir import log_file


def as_json() -> ILogObserver:
    """Give what writes each event as one line, to where twistd would write its own.

    That is the file of ``--logfile``, which becomes another every megabyte, or standard output.
    """
    known = ServerOptions()
    found, _ = getopt(sys.argv[1:], known.shortOpt, known.longOpt)
    said = {known.synonyms[name.lstrip("-")]: value for name, value in found}
    file = log_file({"nodaemon": "nodaemon" in said, "logfile": said.get("logfile")}, Path.cwd())
    return FileLogObserver(LogFile.fromFullPath(str(file)) if file else sys.stdout, line)


def line(event: LogEvent) -> str:
    """Give an event as a line of JSON, in ASCII: nothing in it can act on a terminal."""
    told = {name: _plain(value) for name, value in event.items() if not name.startswith("log_")}
    told |= {
        "time": event.get("log_time"),
        "level": getattr(event.get("log_level"), "name", "info"),
        "namespace": event.get("log_namespace"),
        "text": formatEvent(event),
    }
    if failure := event.get("log_failure"):
        told["traceback"] = failure.getTraceback()
    return json.dumps(told) + "\n"


def _plain(value: object) -> str | int | None:
    return value if isinstance(value, str | int | None) else safe_str(value)
