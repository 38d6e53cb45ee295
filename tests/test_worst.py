"""The worst of the last minute."""

from hypothesis import given
from hypothesis import strategies as st

from twisted_chat.state.worst import Worst


def test_nothing_yet():
    """Without a figure there is nothing bad."""
    assert Worst().of_late(0.0) == 0.0


def test_a_figure_counts_for_a_while():
    """The largest counts until its time is over, then the next."""
    worst = Worst(seconds=60.0)
    for now, figure in ((0.0, 5.0), (10.0, 9.0), (20.0, 3.0), (30.0, 4.0)):
        worst.add(now, figure)
    assert worst.of_late(30.0) == 9.0
    assert worst.of_late(70.0) == 9.0
    assert worst.of_late(70.5) == 4.0
    assert worst.of_late(91.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 100)), min_size=1, max_size=50))
def test_it_is_the_maximum(steps):
    """It gives just what looking at all figures of the last minute would."""
    worst, now, figures = Worst(seconds=60.0), 0.0, []
    for step, figure in steps:
        now += step
        figures.append((now, figure))
        worst.add(now, figure)
        assert worst.of_late(now) == max(f for at, f in figures if at >= now - 60.0)
