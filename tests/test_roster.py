"""A crowd in order."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from twisted_chat.chat.names import Name, fold
from twisted_chat.chat.roster import Roster


@dataclass(frozen=True)
class Owner:
    name: Name


def owner(text):
    return Owner(Name.of(text))


def crowd(*texts):
    roster = Roster()
    for text in texts:
        roster.add(owner(text))
    return roster


def shown(roster, number=200, prefix=""):
    found, more = roster.first(number, prefix)
    return [one.name.text for one in found], more


def test_names_are_sorted_as_people_sort_them():
    """Letter case does not matter, but for those who differ in nothing else."""
    roster = crowd("bob", "ann", "Zoe", "émile", "Ann")
    assert shown(roster) == (["Ann", "ann", "bob", "Zoe", "émile"], 0)


def test_a_crowd_is_cut():
    """No more than asked for are given, and the rest is counted."""
    roster = crowd(*(f"room{number:03}" for number in range(300, 0, -1)), "tea")
    assert shown(roster, 2) == (["room001", "room002"], 299)
    assert shown(roster, 2, "room00") == (["room001", "room002"], 7)
    assert shown(roster, 2, "t") == (["tea"], 0)
    assert shown(roster, 2, "x") == ([], 0)


TEXTS = st.text("abAB1é", min_size=1, max_size=3)


@given(st.sets(TEXTS, max_size=20), st.data())
def test_it_is_as_simple_as_sorting(texts, data):
    """Whoever comes and goes, it gives what sorting all of them would."""
    roster = crowd(*texts)
    gone = data.draw(st.sets(st.sampled_from(sorted(texts)))) if texts else set()
    for text in gone:
        roster.remove(owner(text))
    prefix, number = fold(data.draw(TEXTS | st.just(""))), data.draw(st.integers(0, 9))
    left = sorted(texts - gone, key=lambda text: (fold(text), text))
    begin = [text for text in left if fold(text).startswith(prefix)]
    assert shown(roster, number, prefix) == (begin[:number], len(begin[number:]))
    assert shown(roster) == (left, 0)
