"""The thinnest thing that works."""

from twisted_chat.testing import ManualClock, RecordingClient, rooms


def test_two_people_talk():
    """What one says in a room the other hears, once and in order."""
    clock = ManualClock()
    chat = rooms(clock)
    ann, bob = RecordingClient(), RecordingClient()
    for client, name in ((ann, "ann"), (bob, "bob")):
        session = chat.connect(client)
        session.receive(f"/nick {name}")
        session.receive("/join tea")
    session.receive("hello")
    clock.turn()
    assert ann.lines()[-2:] == ["> bob joined the room", "> bob: hello"]
    assert bob.lines()[-1] == "> here: ann, bob"
