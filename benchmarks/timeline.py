"""A soak as a picture: memory over time."""

from collections.abc import Sequence

from benchmarks.vitals import Sample


def draw(samples: Sequence[Sample]) -> str:
    return ""
