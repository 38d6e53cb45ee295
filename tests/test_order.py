"""Rooms that belong to people, and keeping order in them and on the server."""

import pytest
from town import CODE, PASSWORD, Guest, Town

from twisted_chat.chat.limits import OWNED_SECONDS


@pytest.fixture
def ann(town: Town) -> Guest:
    """Someone who owns a room."""
    return town.registers("ann", "tea")


@pytest.fixture
def bob(town: Town, ann: Guest) -> Guest:
    """A guest in it."""
    bob = town.enters("bob", address="203.0.113.7")
    ann.reads()
    bob.reads()
    return bob


@pytest.fixture
def root(town: Town) -> Guest:
    """An operator of the server."""
    return town.registers("root")


# A room of one's own


def test_who_makes_a_room_owns_it(town, ann, bob):
    """Everyone sees who that is; a guest owns nothing."""
    assert bob.asks("/who") == ["> here: ann (owner), bob"]
    cyd = town.enters("cyd", "coffee")
    assert cyd.asks("/who") == ["> here: cyd"]


def test_an_empty_room_of_nobody_is_had_for_the_taking(town):
    """Who made it as a guest gets it by coming back with an account, if nobody is in it."""
    ann = town.enters("ann")
    ann.types("hello", f"/register {PASSWORD}")
    assert ann.asks("/who") == ["> here: ann"]
    ann.types("/leave", "/join tea")
    assert ann.asks("/who") == ["> here: ann (owner)"]


def test_a_room_stays_its_owners(town, ann, bob):
    """However long it is empty, up to a limit, and whoever enters it first."""
    ann.types("/topic leaves", "/leave")
    bob.types("/leave")
    town.clock.advance(OWNED_SECONDS - 60)
    bob.types("/join tea")
    assert bob.asks("/topic") == ["> topic: leaves"]
    ann.types("/join tea")
    assert bob.asks("/who") == ["> here: ann (owner), bob"]


def test_a_room_that_its_owner_forgot_is_over(town, ann):
    """Names are not taken for ever."""
    ann.types("/topic leaves", "/leave")
    town.clock.advance(OWNED_SECONDS + 61)
    for node in town.nodes:
        node.tick()
    cyd = town.registers("cyd", "tea")
    assert cyd.asks("/who") == ["> here: cyd (owner)"]
    assert cyd.asks("/topic") == ["> no topic is set"]


def test_rooms_that_one_owns_are_bounded(town, ann):
    """What is more belongs to nobody."""
    for number in range(10):
        ann.types(f"/join room{number}")
    assert ann.asks("/who") == ["> here: ann"]
    ann.types("/join room8")
    assert ann.asks("/who") == ["> here: ann (owner)"]


def test_nobody_makes_a_room_that_looks_like_anothers(town, ann, bob):
    """Its owner would be shut out of their own, which nobody is in just now."""
    ann.types("/leave")
    bob.types("/leave")
    assert bob.asks("/join te\u0430") == ['err: "te\u0430" looks like "tea", which is taken']


def test_operators(town, ann, bob):
    """The owner makes them, of people with accounts; and they may do the same."""
    assert bob.asks("/op bob") == ["err: only operators of this room may do that"]
    assert ann.asks("/op bob") == ["err: bob has no account. /register keeps a name"]
    bob.types(f"/register {PASSWORD}")
    ann.reads()
    assert ann.asks("/op bob") == ["> ann made bob an operator of the room"]
    assert ann.asks("/op bob") == ["err: bob runs tea already"]
    assert bob.asks("/who") == ["> here: ann (owner), bob (op)"]
    assert bob.asks("/deop ann") == ["err: ann is the owner of tea"]
    assert ann.asks("/deop bob") == ["> ann took the room out of the hands of bob"]
    assert bob.asks("/who")[-1] == "> here: ann (owner), bob"


def test_giving_a_room_up(town, ann, bob):
    """It goes to who has run it for longest, or else to nobody, if others can enter it then."""
    bob.types(f"/register {PASSWORD}")
    ann.types("/op bob")
    ann.reads()
    assert ann.asks("/deop ann") == ["> ann gave up running the room"]
    assert ann.asks("/who") == ["> here: ann, bob (owner)"]
    bob.types("/lock")
    assert bob.asks("/deop bob")[-1] == (
        "err: nobody could open the room then. usage: /unlock, /key off"
    )
    bob.types("/unlock", "/deop bob")
    assert ann.asks("/who")[-1] == "> here: ann, bob"


def test_an_account_that_is_gone_leaves_nothing_behind(town, ann, bob):
    """Who has the name after it is nobody there."""
    bob.types(f"/register {PASSWORD}")
    ann.types("/op bob", "/invite bob", "/leave", "/join coffee", "/topic beans", "/leave")
    ann.types("/unregister", PASSWORD)
    assert bob.asks("/who")[-1] == "> here: bob (owner)"
    other = town.registers("ann", "tea")
    assert other.asks("/who") == ["> here: ann, bob (owner)"]
    other.types("/join coffee")
    assert other.asks("/topic") == ["> topic: beans"]
    assert other.asks("/who") == ["> here: ann (owner)"]  # it was empty, and nobody's


# Who may enter


def test_a_locked_room(town, ann, bob):
    """Only who is invited comes in; who is in stays."""
    assert ann.asks("/lock") == ["> ann locked the room"]
    assert ann.asks("/lock") == ["err: tea is locked"]
    cyd = town.arrives("/nick cyd")
    assert cyd.asks("/join tea") == ["err: tea is locked: only who is invited may enter"]
    assert ann.asks("/invite cyd") == ["> ann invited cyd"]
    assert cyd.reads() == ["> ann invites you. /join tea takes you to tea"]
    cyd.types("/join tea", "/leave")
    assert "welcome" in cyd.asks("/join tea")[0]
    cyd.types("/quit")
    bob.types("/leave")
    assert "locked" in bob.asks("/join tea")[0]
    ann.types("/leave")
    assert "welcome" in ann.asks("/join tea")[0]
    ann.types("/unlock")
    assert "welcome" in bob.asks("/join tea")[0]


def test_a_room_stays_locked_when_it_is_empty(town, ann):
    """And what was said in it is for those who may come in."""
    ann.types("/lock", "secret", "/leave")
    bob = town.arrives()
    assert bob.asks("/join tea") == ["err: tea is locked: only who is invited may enter"]
    assert bob.asks("/history") == ["err: you are in no room. usage: /join ROOM_NAME"]
    assert bob.asks("/search secret") == ["err: you are in no room. usage: /join ROOM_NAME"]


def test_who_is_kicked_out_of_a_locked_room_stays_out(town, ann):
    """The invitation is taken back; otherwise a kick would be no more than a nuisance."""
    bob = town.registers("bob")
    ann.types("/lock", "/invite bob")
    bob.types("/join tea")
    ann.types("/kick bob")
    assert "locked" in bob.asks("/join tea")[-1]


def test_a_key(town, ann):
    """Who knows it comes in; nobody is shown it."""
    assert ann.asks("/key") == ["> tea has no key"]
    assert ann.asks("/key sesame") == ["> ann put a key on the room"]
    assert ann.asks("/key") == ["> tea has a key"]
    bob = town.arrives("/nick bob")
    assert bob.asks("/join tea") == ["err: tea has a key. usage: /join ROOM_NAME KEY"]
    assert bob.asks("/join tea Sesame") == ["err: that is not the key of tea"]
    assert "welcome" in bob.asks("/join TEA sesame")[0]
    bob.types("/leave")
    ann.types("/invite bob")
    bob.reads()
    assert "welcome" in bob.asks("/join tea")[0]
    assert ann.asks("/key off")[-1] == "> ann took the key off the room"


# Kicking and banning


def test_kicking(town, ann, bob):
    """Everyone is told why, and it is announced once that they left; they may come back."""
    cyd = town.enters("cyd")
    for guest in (ann, bob, cyd):
        guest.reads()
    assert ann.asks("/kick bob not so loud") == [
        "> ann kicked bob (not so loud)",
        "> bob has left the room",
    ]
    assert cyd.reads() == ["> ann kicked bob (not so loud)", "> bob has left the room"]
    assert bob.reads() == [
        "> ann kicked bob (not so loud)",
        "> you were kicked out of tea by ann: not so loud",
    ]
    assert ann.asks("/kick bob") == ["err: bob is not in tea"]
    assert ann.asks("/kick ann") == ["err: you cannot do that to yourself. usage: /leave"]
    assert "welcome" in bob.asks("/join tea")[0]


def test_banning_a_guest(town, ann, bob):
    """It is the place that is banned, for guests: whatever they call themselves."""
    neighbour = town.registers("neighbour", address="203.0.113.7")
    assert ann.asks("/ban bob 10m spam") == [
        "> ann banned bob for 10 minutes (spam)",
        "> bob has left the room",
    ]
    assert bob.reads()[1] == "> you are banned from tea for another 10 minutes: spam"
    bob.types("/nick innocent")
    bob.reads()
    assert bob.asks("/join tea") == ["err: you are banned from tea for another 10 minutes: spam"]
    town.clock.advance(60)
    again = town.arrives(address="203.0.113.7")
    assert again.asks("/join tea") == ["err: you are banned from tea for another 9 minutes: spam"]
    assert "welcome" in neighbour.asks("/join tea")[0]
    assert "welcome" in town.arrives(address="203.0.113.8").asks("/join tea")[0]
    town.clock.advance(540)
    assert "welcome" in again.asks("/join tea")[0]


def test_a_guest_from_nowhere_is_banned_in_person(town, ann):
    """Over a socket file there is no address."""
    bob, cyd = town.enters("bob"), town.enters("cyd")
    ann.types("/ban bob")
    assert "banned" in bob.asks("/join tea")[-1]
    assert cyd.asks("/who")[-1] == "> here: ann (owner), cyd"


def test_banning_an_account(town, ann):
    """It is banned wherever it comes from, here or not; a guest of that name is not."""
    bob = town.registers("bob", "tea", address="203.0.113.7")
    ann.types("/ban bob")
    bob.reads()
    assert bob.asks("/join tea") == ["err: you are banned from tea"]
    guest = town.enters("cyd", address="203.0.113.7")
    assert guest.asks("/who") == ["> here: ann (owner), cyd"]
    bob.types("/quit")
    guest.types("/nick bob")
    ann.reads()
    assert ann.asks("/unban bob") == ["> ann unbanned bob"]
    assert ann.asks("/ban @bob") == ["> ann banned bob"]
    assert guest.asks("/who")[-1] == "> here: ann (owner), bob"
    # one who becomes the account meanwhile has to go
    guest.types(f"/login bob {PASSWORD}")
    assert "> you are banned from tea" in guest.reads()
    assert ann.asks("/who")[-1] == "> here: ann (owner)"


def test_banning_a_network(town, ann, bob, root):
    """All guests who come from there have to go, by the word of who runs the server."""
    cyd = town.enters("cyd", address="203.0.113.200")
    dot = town.enters("dot", address="2001:db8:0:1::7")
    root.types("/join tea")
    assert ann.asks("/ban 203.0.113.0/24") == [
        "err: only operators of the server ban addresses. usage: /ban NAME"
    ]
    assert root.asks("/ban 203.0.113.0/24 1h") == [
        "> root banned 203.0.113.0/24 for 1 hour",
        "> bob has left the room",
        "> cyd has left the room",
    ]
    assert "banned" in cyd.asks("/join tea")[-1]
    ann.types("/ban dot")
    again = town.arrives(address="2001:db8:0:1:ffff::1")
    assert again.asks("/join tea") == ["err: you are banned from tea"]
    assert ann.asks("/unban 203.0.113.0/24")[-1] == "> ann unbanned 203.0.113.0/24"
    assert "welcome" in bob.asks("/join tea")[-2]
    assert dot.client.closed is None


def test_the_list_of_bans(town, ann, bob, root):
    """It tells who, for how long, by whom and why; where from, only who runs the server."""
    assert ann.asks("/bans") == ["> nobody is banned or muted"]
    root.types("/join tea", "/ban 198.51.100.7")
    ann.types("/ban bob 10m spam")
    town.clock.advance(60)
    assert ann.asks("/bans") == [
        "> 198.51.100.7 is banned, by root",
        "> bob is banned, for another 9 minutes, by ann: spam",
    ]
    assert root.asks("/bans") == [
        "> 198.51.100.7 is banned, by root",
        "> bob (203.0.113.7/32) is banned, for another 9 minutes, by ann: spam",
    ]
    assert ann.asks("/unban cyd")[-1] == "err: cyd is not banned. usage: /bans [*]"
    town.clock.advance(600)
    assert ann.asks("/bans") == ["> 198.51.100.7 is banned, by root"]


def test_bans_are_bounded(town, root, monkeypatch):
    """Nobody fills the memory with them."""
    monkeypatch.setattr("twisted_chat.chat.rights.SANCTIONS", 3)
    for number in range(3):
        root.types(f"/ban * 10.0.0.{number}")
    assert root.asks("/ban * 10.0.0.9")[-1] == (
        "err: 3 bans and mutes are in force already. /bans lists them"
    )
    assert root.asks("/ban * 10.0.0.1 again")[-1] == "> root banned 10.0.0.1 (again)"


# Muting, and slowing down


def test_muting(town, ann, bob):
    """They are in the room, and say nothing; they are told why."""
    assert ann.asks("/mute bob 10m shouting") == ["> ann muted bob for 10 minutes (shouting)"]
    assert bob.reads()[-1] == "> you are muted in tea for another 10 minutes: shouting"
    refusal = "you are muted for another 10 minutes: shouting"
    assert bob.asks("hello") == [f"err: not said: {refusal}"]
    assert bob.asks("/me shouts") == [f"err: not said: {refusal}"]
    assert bob.asks("/topic no") == [f"err: {refusal}"]
    assert ann.reads() == []
    bob.types("/leave", "/nick bobby", "/join tea")
    bob.reads()
    assert bob.asks("hello") == [f"err: not said: {refusal}"]
    assert ann.asks("/unmute bob")[-1] == "> ann unmuted bob"
    bob.types("hello")
    assert ann.reads() == ["> bobby: hello"]


def test_a_mute_ends_by_itself(town, ann, bob):
    """Nobody has to remember it."""
    ann.types("/mute bob 90s")
    town.clock.advance(91)
    ann.reads()
    bob.types("hello")
    assert ann.reads() == ["> bob: hello"]


def test_slow_mode(town, ann, bob):
    """Members wait from one line to the next, those who run the room do not."""
    assert ann.asks("/slow 10") == ["> ann set slow mode: one line in 10 seconds"]
    bob.types("one")
    bob.reads()
    assert bob.asks("two") == ["err: not said: the room is slow: wait for 11 seconds"]
    ann.types("a", "b")
    assert bob.reads() == ["> ann: a", "> ann: b"]
    town.clock.advance(10)
    bob.types("three")
    assert ann.reads() == ["> bob: one", "> bob: three"]
    assert ann.asks("/slow 0") == ["> ann ended slow mode"]
    bob.types("four", "five")
    assert ann.reads() == ["> bob: four", "> bob: five"]
    for wrong in ("-1", "x", "3601", "99999", "1.5"):
        assert ann.asks(f"/slow {wrong}") == [
            f"err: {wrong} is not 0 to 3600 seconds. usage: /slow SECONDS"
        ]


# The server


def test_an_operator_of_the_server_needs_the_code(town):
    """Being first to register the name is not enough."""
    eve = town.arrives("/nick root", "/register")
    assert eve.reads()[-1] == (
        "> type the code that the log of the server shows. "
        "telnet does not show it, other programs may"
    )
    assert eve.asks("0" * 16) == ["err: that is not the code that the log of the server shows"]
    assert eve.asks(f"/register {PASSWORD}") == [
        "err: root runs the server, and needs a code. usage: /register"
    ]
    eve.types("/nick r\u043e\u043et")
    assert eve.asks(f"/register {PASSWORD}") == [
        'err: "r\u043e\u043et" looks like "root", who runs the server'
    ]
    eve.types("/nick root", "/register", CODE)
    assert eve.asks(PASSWORD) == [
        "> root is yours now. /login root brings you back",
        "> you are an operator of the server. /help tells what you can do",
    ]
    eve.types("/unregister", PASSWORD, "/nick root", "/register")
    assert eve.asks(CODE) == ["err: that is not the code that the log of the server shows"]


def test_an_operator_of_the_server_enters_any_room(town, ann, root):
    """And keeps order there like its owner."""
    ann.types("/lock", "/key sesame")
    assert "welcome" in root.asks("/join tea")[0]
    assert root.asks("/who") == ["> here: ann (owner), root (server op)"]
    assert ann.asks("/kick root")[-1] == "err: root is an operator of the server"
    assert ann.asks("/ban root")[-1] == "err: root is an operator of the server"
    assert "> root kicked ann" in root.asks("/kick ann")


def test_a_room_of_nobody_is_given_away(town, root):
    """An operator of the server makes someone its owner."""
    bob = town.enters("bob")
    bob.types(f"/register {PASSWORD}")
    root.types("/join tea")
    bob.reads()
    root.types("/op bob")
    assert bob.reads() == ["> root made bob the owner of the room"]


def test_banning_from_the_server(town, ann, bob, root):
    """They are told, sent away, and have to log in before anything else when they come back."""
    boss = town.registers("boss")
    bob.types("/tell ann hm")
    assert ann.asks("/ban * bob")[-1] == "err: only operators of the server may do that"
    assert root.asks("/ban * bob 2h spam") == ["> root banned bob for 2 hours (spam)"]
    assert boss.reads() == ["> root banned bob for 2 hours (spam)"]
    assert bob.reads()[-1] == "err: you are banned for another 2 hours: spam"
    assert bob.client.closed is not None
    assert ann.reads()[-1] == "> bob has left the room"
    again = town.arrives(address="203.0.113.7")
    refusal = "err: your address is banned for another 2 hours: spam. usage: /login NAME [PASSWORD]"
    assert again.reads()[-1] == refusal
    for line in ("/nick bob", "/join tea", "/tell ann hm", "hello", "/register password", "/who"):
        assert again.asks(line) == [refusal]
    assert again.asks("/help")[-1].startswith("> /quit")
    assert "welcome back" in again.asks(f"/login ann {PASSWORD}")[0]
    again.types("/logout")
    assert again.asks("/who")[-1] == refusal
    assert root.asks("/unban * bob") == ["> root unbanned bob"]
    again.types("/nick bob")
    assert "welcome" in again.asks("/join tea")[-2]


def test_banning_an_account_from_the_server(town, ann, root):
    """It cannot log in any more."""
    root.types("/ban * ann 1h")
    assert ann.reads()[-1] == "err: you are banned for another 1 hour"
    assert ann.client.closed is not None
    guest = town.arrives()
    assert guest.asks(f"/login ann {PASSWORD}") == ["err: ann is banned for another 1 hour"]
    assert root.asks("/bans *") == ["> ann (@ann) is banned, for another 1 hour, by root"]
    town.clock.advance(3601)
    assert "welcome back" in guest.asks(f"/login ann {PASSWORD}")[0]


def test_operators_of_the_server_are_equals(town, root):
    """None of them can send another away."""
    town.registers("boss", "tea")
    assert root.asks("/ban * boss") == ["err: boss is an operator of the server"]
    assert root.asks("/ban * root") == ["err: you cannot do that to yourself"]


def test_a_lockdown(town, ann, bob, root):
    """Who is here stays; who is new has to log in."""
    assert root.asks("/lockdown") == ["> root locked down the server"]
    assert root.asks("/lockdown")[-1].startswith("err: the server is locked down already")
    town.clock.advance(1)
    bob.types("hello")
    assert ann.reads() == ["> bob: hello"]
    cyd = town.arrives()
    assert cyd.reads()[-1] == (
        "err: only who has an account may come in now. usage: /login NAME [PASSWORD]"
    )
    assert "only who has an account" in cyd.asks("/join tea")[0]
    ann.types("/quit")
    assert "welcome back" in cyd.asks(f"/login ann {PASSWORD}")[0]
    assert root.asks("/bans *") == ["> guests (*) are banned, by root"]
    dot = town.arrives()
    assert root.asks("/lockdown off") == ["> root ended the lockdown"]
    dot.reads()
    assert "welcome" in dot.asks("/join tea")[0]
    assert root.asks("/lockdown off")[-1].startswith("err: the server is not locked down")


def test_a_word_to_everyone(town, ann, bob, root):
    """Wherever they are."""
    cyd = town.arrives()
    cyd.reads()
    root.types("/wall back in five minutes")
    for guest in (ann, bob, cyd, root):
        assert guest.reads() == ["> announcement by root: back in five minutes"]
    assert ann.asks("/wall hm") == ["err: only operators of the server may do that"]


def test_another_password_for_who_lost_theirs(town, ann, root):
    """An operator of the server gives it; the old one is worth nothing then."""
    assert root.asks("/passwd ann") == [
        "> type the new password of ann. telnet does not show it, other programs may"
    ]
    assert root.asks("battery staple") == ["> root gave ann another password"]
    ann.types("/logout")
    assert "err" in ann.asks(f"/login ann {PASSWORD}")[0]
    assert "welcome back" in ann.asks("/login ann battery staple")[0]
    assert root.asks("/passwd zoe") == ["err: there is no account called zoe"]
    town.registers("boss")
    assert root.asks("/passwd boss")[-1] == "err: boss is an operator of the server"


def test_where_someone_comes_from(town, bob, ann, root):
    """It is shown to who runs the server, and to nobody else."""
    assert "203.0.113.7" not in ann.asks("/whois bob")[0]
    assert root.asks("/whois bob")[0].endswith(", from 203.0.113.7")
    assert ", logged in" in bob.asks("/whois ann")[0]


# What is kept of it


def test_the_audit(town, ann, bob, root):
    """Each act leaves a line: who did what, where and when, but no secret."""
    assert root.asks("/audit") == ["> nobody has done anything yet"]
    ann.types("/key sesame", "/mute bob 10m", "/unmute bob", "/kick bob", "/slow 5")
    root.types("/wall hello", "/lockdown", "/passwd ann", "battery staple")
    root.reads()
    seen = root.asks("/audit")
    assert [line.partition("] ")[2] for line in seen] == [
        "ann put a key on the room, in tea",
        "ann muted bob for 10 minutes, in tea",
        "ann unmuted bob, in tea",
        "ann kicked bob, in tea",
        "ann set slow mode: one line in 5 seconds, in tea",
        "root told everyone: hello",
        "root locked down the server",
        "root gave ann another password",
    ]
    assert all(line.startswith("> [2023-") for line in seen)
    assert root.asks("/audit 2") == seen[-2:]
    assert ann.asks("/audit")[-1] == "err: only operators of the server may do that"
    assert root.asks("/audit x") == ["err: x is no number. usage: /audit [N]"]


def test_help_shows_what_one_may_do(town, ann, bob, root):
    """Each command to those whom it serves, where they are."""

    def words(guest):
        return {line.split()[1] for line in guest.asks("/help") if line.startswith("> /")}

    running = {"/kick", "/mute", "/unmute", "/ban", "/unban", "/bans"}
    running |= {"/op", "/deop", "/invite", "/lock", "/unlock", "/key", "/slow"}
    serving = {"/wall", "/lockdown", "/audit"}
    assert not words(bob) & (running | serving)
    assert words(ann) & (running | serving) == running
    assert words(root) >= running | serving
    ann.types("/leave")
    assert not words(ann) & running
