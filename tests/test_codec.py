"""Events as the nodes send them to each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_chat.chat.acts import Appointed, Sanctioned
from twisted_chat.chat.charter import Rank, Sanction
from twisted_chat.chat.events import Arrived, Event, Lost, Origin, Said, Told, WentAway, Who
from twisted_chat.cluster import codec

WHO = Who("a-1.1", "@ann", "ann")
TEXT = st.text(max_size=50)
NAMES = st.builds(Who, TEXT, st.none() | TEXT, TEXT)


@given(
    st.one_of(
        st.builds(Said, NAMES, st.integers(0, 2**52), TEXT),
        st.builds(Told, NAMES, NAMES, TEXT),
        st.builds(WentAway, NAMES, st.none() | TEXT),
        st.builds(Appointed, NAMES, st.integers(0, 9), NAMES, st.sampled_from(Rank)),
        st.builds(Arrived, NAMES, st.builds(Origin, TEXT, st.booleans(), TEXT, TEXT)),
    )
)
def test_an_event_comes_back_as_it_was(event):
    """Whatever anybody types, and whoever it is about."""
    assert codec.decode(codec.encode(event)) == event


def test_what_is_in_events_comes_back_as_what_it_was():
    """Bans, ranks and settings are of their own kinds again."""
    ban = Sanction("ban", "@x", "x", "ann", "no", 1.5, None)
    event = codec.decode(codec.encode(Sanctioned(WHO, 3, ban)))
    assert event.sanction == ban
    assert event.words == "banned x (no)"
    settings = {"zone": None, "ignored": {"@bob": "bob"}}
    assert codec.decode(codec.encode(Lost(WHO, settings, 1.0, "a-1.1", 7))).settings == settings


def test_a_node_of_before_there_were_keys():
    """What it tells of who has come is understood."""
    data = b'["Arrived",["a",null,"b"],["192.0.2.9",true,"k"]]'
    event = Arrived(Who("a", None, "b"), Origin("192.0.2.9", True, "k"))
    assert codec.decode(data) == event


def test_every_kind_can_be_sent():
    """No event is of a kind that the nodes do not know."""

    def kinds(kind):
        for below in kind.__subclasses__():
            if below.__module__.startswith("twisted_chat."):
                yield below.__name__
            yield from kinds(below)

    names = set(kinds(Event))
    assert names >= {"Said", "Kicked", "Returned"}
    assert names <= codec._KINDS.keys()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'["Nonsense"]',
        b'["Said"]',
        b'["Said",["a",null,"b"],1]',
        b'["Said",["a",null,"b"],1,"x","more"]',
        b'["Said","nobody",1,"x"]',
        b'["Said",[1,null,"b"],1,"x"]',
        b'["Said",["a",null,"b"],"one","x"]',
        b'["Arrived",["a",null,"b"],["192.0.2.9",true]]',
        b'["Arrived",["a",null,"b"],["192.0.2.9",true,"k","SHA256:x","more"]]',
        b'["Appointed",["a",null,"b"],1,["a",null,"b"],99]',
        b"\xff\xfe",
        b'"' + b"x" * codec.LONGEST + b'"',
    ],
)
def test_what_is_no_event_is_refused(data):
    """It is told from an event before anything is done with it."""
    with pytest.raises(ValueError, match=r"."):
        codec.decode(data)


def test_an_event_that_is_too_long_is_not_sent():
    """No line can be so long; a mistake of ours is noticed here."""
    with pytest.raises(ValueError, match="Said of"):
        codec.encode(Said(WHO, 1, "x" * codec.LONGEST))
