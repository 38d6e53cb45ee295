"""Loggers for libraries that tell whatever a client sends them."""

from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogPublisher,
)


def quiet_logger() -> Logger:
    """Give one that tells only of what is broken."""
    only = LogLevelFilterPredicate(LogLevel.critical)
    return Logger(observer=FilteringLogObserver(globalLogPublisher, [only]))
