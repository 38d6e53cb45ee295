"""Each step of ``.ci/run`` in an environment of its own: ``nox``, or ``nox -s lint``.

What a step does stands there, and only there.
"""

import nox

nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def run(session: nox.Session, step: str) -> None:
    """Run a step with the programs of a session."""
    session.install("-e", ".[lint]")
    session.run("bash", ".ci/run", step, env={"BIN": session.bin}, external=True)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests, on each Python that is there."""
    run(session, "tests")


@nox.session
def long(session: nox.Session) -> None:
    """The tests that take long."""
    run(session, "long")


@nox.session(venv_backend="none")
def lowest(session: nox.Session) -> None:
    """The unit tests on the oldest Twisted, and their coverage."""
    session.run("bash", ".ci/run", "lowest")


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, the format, and mypy."""
    run(session, "lint")


@nox.session
def documentation(session: nox.Session) -> None:
    """The documentation, without a warning."""
    run(session, "documentation")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Benchmarks, the short form."""
    run(session, "benchmarks")


@nox.session
def soak(session: nox.Session) -> None:
    """Two minutes of mixed life."""
    run(session, "soak")


@nox.session
def fuzz(session: nox.Session) -> None:
    """A minute of fuzzing."""
    run(session, "fuzz")


@nox.session
def wheel(session: nox.Session) -> None:
    """The wheel, installed elsewhere."""
    run(session, "wheel")
