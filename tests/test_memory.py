"""The store that keeps lines in memory, and never too many of them."""

import json
import sys
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_chat.chat.account import AccountRecord
from twisted_chat.chat.events import Emoted, Said, Who
from twisted_chat.histogram import Histogram
from twisted_chat.state.memory import MemoryStore

ANN = Who("1", None, "ann")


def line(number, room=1, time=None, kind=Said):
    """Make a line as the backplane numbers it."""
    made = kind(ANN, room, f"line {number}")
    made.id, made.time = number, float(number) if time is None else time
    return made


def filled(store, *lines):
    for one in lines:
        store.record(one)
    return store


def answer(asked):
    """Give what a store answers; it does so at once."""
    with pytest.raises(StopIteration) as done:
        asked.send(None)
    return done.value.value


def history(store, room=1, limit=10_000, since=0.0):
    """Give the ids of what a store has of a room."""
    return [one.id for one in answer(store.history(room, limit, since))]


def held(store):
    """Count the references to lines that a store holds, wherever in it."""
    seen, todo, lines = set(), [vars(store)], 0
    while todo:
        one = todo.pop()
        if isinstance(one, Said | Emoted):
            lines += 1
        elif id(one) not in seen and not isinstance(one, str | int | float | Histogram):
            seen.add(id(one))
            todo.extend(one.values() if isinstance(one, dict) else one)
    return lines


def test_since_when_the_clock_was_set_back():
    """The newest lines that are not too old are given, although older ones stand among them."""
    times = (1000.0, 1001.0, 10.0, 1002.0, 11.0)
    store = filled(MemoryStore(), *(line(n, time=time) for n, time in enumerate(times, 1)))
    assert history(store, since=1000.0) == [1, 2, 4]
    assert history(store, limit=2, since=1000.0) == [2, 4]


def test_a_room_keeps_so_many_lines():
    """A room keeps its newest lines, whatever the others say."""
    store = filled(MemoryStore(lines_per_room=3), *map(line, range(1, 11)), line(11, room=2))
    assert history(store) == [8, 9, 10]
    assert history(store, room=2) == [11]


def test_all_rooms_together_keep_so_many_lines():
    """Over the total, the room that has been silent for longest loses its eldest line."""
    store = MemoryStore(lines=4)
    for number, room in enumerate((1, 2, 1, 3, 2, 3), 1):
        store.record(line(number, room))
    assert [history(store, room) for room in (1, 2, 3)] == [[], [2, 5], [4, 6]]


def test_a_busy_room_costs_the_quiet_ones_nothing():
    """However much is said in one room, the others keep theirs while the total is not reached."""
    store = filled(MemoryStore(lines_per_room=3, lines=10), *(line(n, room=n) for n in range(1, 6)))
    filled(store, *(line(number, room=9) for number in range(6, 1000)))
    assert [history(store, room) for room in range(1, 6)] == [[n] for n in range(1, 6)]
    assert history(store, room=9) == [997, 998, 999]


def test_an_erased_room_is_gone():
    """Erasing forgets all lines of one room, and makes room for others."""
    store = filled(MemoryStore(lines=4), *(line(n, room=n % 2) for n in range(1, 5)))
    store.erase(1)
    store.erase(7)
    assert history(store, room=1) == []
    assert history(store, room=0) == [2, 4]
    filled(store, line(5, room=3), line(6, room=1))
    assert [history(store, room) for room in (0, 1, 3)] == [[2, 4], [6], [5]]


def test_what_comes_again_after_erasing_is_not_kept():
    """A line of an erased room does not come back from the dead."""
    store = filled(MemoryStore(), line(1), line(2))
    store.erase(1)
    filled(store, line(1), line(2))
    assert history(store) == []


def test_a_store_that_keeps_nothing():
    """A bound of nothing keeps nothing."""
    for store in (MemoryStore(lines=0), MemoryStore(lines_per_room=0)):
        filled(store, *map(line, range(1, 5)))
        assert history(store) == []
        assert held(store) == 0


def test_accounts_in_another_process():
    """They come back as they were, though they were JSON meanwhile."""
    ann = AccountRecord("@ann", "ann", "$argon2id$...", 12.5, ("SHA256:b", "SHA256:a"))
    bob = AccountRecord("@bob", "bob", "$argon2id$...", 13.5)
    store = MemoryStore()
    for record in (ann, bob):
        answer(store.keep_account(record))
    other = MemoryStore()
    other.open(json.loads(json.dumps(answer(store.release()))))
    assert [answer(other.account((name,))) for name in ("ann", "bob")] == [ann, bob]
    assert sorted(answer(other.release())["accounts"]) == [ann, bob]


def test_memory_is_bounded():
    """Whatever is recorded and erased, no more is held than the bounds allow."""
    numbers = count(1)
    busy, many, erased = (MemoryStore(lines_per_room=5, lines=20) for _ in range(3))
    for number in numbers:
        busy.record(line(number, room=number % 2))
        many.record(line(number, room=number))
        erased.record(line(number, room=number // 3))
        if number % 3 == 2:
            erased.erase(number // 3)
        if number == 5000:
            break
    for store in (busy, many, erased):
        assert held(store) <= 2 * 20
        assert sum(map(sys.getsizeof, vars(store).values())) < 8192


ROOMS = st.integers(1, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), ROOMS, st.integers(-1, 2)),
        st.tuples(st.just("erase"), ROOMS),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(0, 5), st.integers(0, 9), st.integers(0, 6), st.floats(0, 40))
def test_it_is_as_simple_as_a_list(steps, lines_per_room, lines, limit, since):
    """Whatever happens, it holds what a plain list would that is cut after each step."""
    store = MemoryStore(lines_per_room, lines)
    kept, last, number = [], 0, 0
    for step, room, *ahead in steps:
        if step == "erase":
            store.erase(room)
            kept = [one for one in kept if one.room != room]
            continue
        number = max(0, number + ahead[0])
        store.record(line(number, room))
        if number > last:
            last = number
            kept.append(line(number, room))
            in_room = [one for one in kept if one.room == room]
            if len(in_room) > lines_per_room:
                kept.remove(in_room[0])
            if len(kept) > lines:
                spoke = {one.room: one.id for one in kept}
                silent = min(spoke, key=spoke.__getitem__)
                kept.remove(next(one for one in kept if one.room == silent))
        for one in range(1, 5):
            expected = [entry for entry in kept if entry.room == one]
            assert history(store, one) == [entry.id for entry in expected]
        newer = [entry.id for entry in kept if entry.room == room and entry.time >= since]
        assert history(store, room, limit, since) == (newer[-limit:] if limit else [])
        assert held(store) == len(kept)
