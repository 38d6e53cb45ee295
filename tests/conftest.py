"""What every test is held to: nothing may be logged as a failure and go unnoticed."""

import gc
from collections.abc import Iterator

import pytest
from doors import Doors
from hypothesis import settings
from town import AS_JSON, AT_A_SCREEN, KINDS, Town
from twisted.logger import LogEvent, LogLevel, globalLogPublisher

# How long something takes says nothing: the machine has other things to do.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


class LoggedFailures:
    """What was logged as an error during a test."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            self.events.append(event)

    def flush(self, kind: type[BaseException]) -> list[BaseException]:
        """Take out the failures of one kind, which were expected."""
        found = [e for e in self.events if "log_failure" in e and e["log_failure"].check(kind)]
        self.events = [e for e in self.events if e not in found]
        return [e["log_failure"].value for e in found]


@pytest.fixture(autouse=True, scope="module")
def old_objects() -> None:
    """Leave what is there before the tests of a module out of the collections after each."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def logged_failures() -> Iterator[LoggedFailures]:
    """Fail a test that logs a failure, or leaves one in a Deferred, and does not flush it."""
    failures = LoggedFailures()
    globalLogPublisher.addObserver(failures)
    yield failures
    gc.collect()
    globalLogPublisher.removeObserver(failures)
    assert failures.events == []


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """Give all that is logged during a test, as text."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


@pytest.fixture(params=[*KINDS, AS_JSON, AT_A_SCREEN])
def town(request: pytest.FixtureRequest) -> Iterator[Town]:
    """Give a town of each kind; its nodes have to agree in the end."""
    town = Town(request.param)
    yield town
    town.agrees()


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """Give a real chat with a door of each kind."""
    doors = Doors(tmp_path_factory.mktemp("chat"))
    with doors.chat:
        yield doors
