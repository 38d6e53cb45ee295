"""Names that one keeps: registering, logging in, and going on where one was."""

import pytest
from town import PASSWORD, STEPWISE, Guest, Town

from twisted_chat.chat.events import LoggedIn


@pytest.fixture
def ann(town: Town) -> Guest:
    """Someone with an account, logged in, in a room."""
    ann = town.enters("ann")
    ann.types(f"/register {PASSWORD}")
    ann.reads()
    return ann


@pytest.fixture
def bob(town: Town, ann: Guest) -> Guest:
    bob = town.enters("bob")
    ann.reads()
    bob.reads()
    return bob


def who(town, *people):
    """See that every node knows these people, and no others."""
    for node in town.nodes:
        assert sorted(person.name.text for person in node.people.values()) == sorted(people)


# Registering


def test_registering_keeps_the_name_that_one_has(town):
    """One takes a name, then a password for it, and is logged in."""
    ann = town.enters("Ann")
    assert ann.asks(f"/register {PASSWORD}") == ["> Ann is yours now. /login Ann brings you back"]
    assert ann.asks(f"/register {PASSWORD}") == ["err: you are logged in as ann. usage: /logout"]


def test_a_name_that_stays_is_no_news(town):
    """Nobody is told that someone is now called what they were called."""
    ann, bob = town.enters("ann"), town.enters("bob")
    bob.reads()
    ann.types(f"/register {PASSWORD}", "/logout", "/nick ann")
    assert bob.reads() == [
        "> ann is now known as anonymous",
        "> anonymous is now known as ann",
    ]
    ann.types(f"/login ann {PASSWORD}")
    assert bob.reads() == []


def test_a_stranger_has_nothing_to_register(town):
    """Without a name of one's own there is nothing to keep."""
    assert town.arrives().asks(f"/register {PASSWORD}")[-1] == (
        "err: take a name first. usage: /nick NAME"
    )


@pytest.mark.parametrize("password", ["seven77", "x" * 129, "żółw" * 20])
def test_passwords_have_bounds(town, password):
    """Too short ones are guessed, too long ones cost."""
    ann = town.enters("ann")
    assert ann.asks(f"/register {password}")[-1] == "err: a password has 8 to 128 bytes"


def test_a_name_is_registered_once(town, ann):
    """Nor can one be registered that looks like it, once its owner is away."""
    ann.types("/logout")
    ann.types("/nick someone")
    other = town.enters("ANN")
    assert other.asks("/register other password")[-1] == 'err: "ANN" is registered already'
    other.types("/nick \u0430nn")
    assert other.asks("/register other password")[-1] == (
        'err: "\u0430nn" looks like "ann", which is registered'
    )


def test_two_who_register_one_name_at_once(town):
    """One of them gets it; that hashing takes a while changes nothing."""
    ann = town.enters("ann")
    ann.session.receive(f"/register {PASSWORD}")
    ann.session.receive("/nick anna")
    eve = town.arrives("/nick ann")
    eve.session.receive("/register another password")
    town.clock.turn()
    answers = ann.reads() + eve.reads()
    assert sum("is yours now" in line for line in answers) == 1


# Logging in


def test_coming_back(town, ann, bob):
    """Who has gone comes back as the same, with the name, whoever took it meanwhile."""
    ann.types("/quit")
    thief = town.enters("ann")
    bob.reads()
    ann = town.arrives()
    assert ann.asks(f"/login ann {PASSWORD}") == [
        "> welcome back, ann. you are logged in",
    ]
    assert thief.reads()[-1] == "> that name belongs to an account. you are anonymous-2 now"
    assert bob.reads() == ["> ann is now known as anonymous-2"]
    who(town, "ann", "anonymous-2", "bob")


def test_a_look_alike_makes_way_too(town, ann, bob):
    """It could not be told from the owner."""
    ann.types("/quit")
    town.enters("\u0430nn")
    ann = town.arrives(f"/login ann {PASSWORD}")
    who(town, "ann", "anonymous-2", "bob")


@pytest.mark.parametrize("line", ["/login ann wrong password", "/login nobody wrong password"])
def test_a_wrong_password(town, ann, line):
    """Whether there is such a name is not told."""
    guest = town.arrives()
    assert guest.asks(line) == ["err: that is not the password of that name"]
    who(town, "ann", guest.session.who.name)


def test_the_name_may_be_typed_in_capitals(town, ann):
    """It is the same account."""
    ann.types("/logout")
    assert ann.asks(f"/login ANN {PASSWORD}") == ["> welcome back, ann. you are logged in, in tea"]


def test_one_account_at_a_time(town, ann):
    """Who is logged in has to log out first."""
    assert ann.asks(f"/login ann {PASSWORD}")[-1] == (
        "err: you are logged in as ann. usage: /logout"
    )


def test_guessing_is_slowed_down(town, ann):
    """After some wrong passwords one has to wait, with the right one, too."""
    eve = town.arrives()
    for _ in range(5):
        eve.types("/login ann wrong password")
    assert eve.asks(f"/login ann {PASSWORD}") == [
        "err: too many wrong passwords. wait for 2 seconds"
    ]
    town.clock.advance(1)
    assert "welcome back" in eve.asks(f"/login ann {PASSWORD}")[-1]


def test_an_account_under_another_name_makes_way_too(town, ann, bob):
    """One name is all that an account has for itself."""
    bob.types(f"/register {PASSWORD}", "/quit")
    ann.types("/nick bob")
    again = town.arrives()
    assert "welcome back" in again.asks(f"/login bob {PASSWORD}")[0]
    assert ann.reads()[-1] == "> that name belongs to an account. you are anonymous-2 now"
    assert ann.session.who.account == "@ann"


# Going on where one was


def test_taking_over(town, ann, bob):
    """A second login goes on as the person who is there: room, settings, whom one ignores."""
    ann.types("/ignore bob", "/time on", "/tell bob hi")
    bob.reads()
    again = town.arrives("/nick anna", "/join coffee")
    assert again.asks(f"/login ann {PASSWORD}") == [
        "> welcome back, ann. you are logged in, in tea"
    ]
    assert ann.reads()[-1] == "err: you have logged in elsewhere, and go on there. goodbye"
    assert ann.client.closed is not None
    assert bob.reads() == []
    bob.types("unheard")
    cyd = town.enters("cyd")
    cyd.types("heard")
    assert [line.partition("] ")[2] for line in again.reads()] == [
        "cyd joined the room",
        "cyd: heard",
    ]
    again.types("hello")
    assert bob.reads()[-1] == "> ann: hello"
    who(town, "ann", "bob", "cyd")


def test_the_old_connection_is_over(town, ann, bob):
    """What it still says is not heard, and its end ends nothing."""
    again = town.arrives(f"/login ann {PASSWORD}")
    bob.reads()
    ann.types("still here?")
    ann.drops()
    assert bob.reads() == []
    who(town, "ann", "bob")
    again.types("/quit")
    assert bob.reads() == ["> ann has left the room"]
    who(town, "bob")


def test_taking_over_again_and_again(town, ann, bob):
    """However often, it is one person in one place."""
    for _ in range(5):
        last = town.arrives(f"/login ann {PASSWORD}")
    last.types("hello")
    assert [line for line in bob.reads() if "ann" in line] == ["> ann: hello"]
    assert bob.asks("/who") == ["> here: ann, bob"]


@pytest.mark.parametrize("town", STEPWISE, indirect=True)
def test_a_connection_that_breaks_while_it_takes_over(town):
    """The person whom it has become is gone as well, and leaves in the end."""
    ann = town.enters("ann")
    ann.types(f"/register {PASSWORD}")
    bob = town.enters("bob")
    again = town.arrives()
    again.session.receive(f"/login ann {PASSWORD}")
    town.steps_to(LoggedIn)
    again.drops()
    who(town, "ann", "bob")
    assert all(node.naming.find("ann").gone for node in town.nodes)
    town.grace_ends()
    who(town, "bob")
    assert bob.reads()[-1] == "> ann has left the room"
    assert ann.client.closed is not None


# Logging out


def test_logging_out(town, ann, bob):
    """One is a guest again, by the name of a stranger, where one was."""
    ann.types("/logout")
    assert bob.reads() == ["> ann is now known as anonymous"]
    assert ann.asks("/logout") == ["err: you are not logged in. usage: /login NAME [PASSWORD]"]
    assert bob.asks("/who") == ["> here: anonymous, bob"]


def test_another_password(town, ann):
    """The old one is worth nothing any more."""
    ann.types("/passwd", PASSWORD)
    assert ann.asks("battery staple") == ["> your password is changed"]
    ann.types("/logout")
    assert ann.asks(f"/login ann {PASSWORD}") == ["err: that is not the password of that name"]
    assert "welcome back" in ann.asks("/login ann battery staple")[0]


def test_giving_up_an_account(town, ann):
    """The name is anyone's again."""
    ann.types("/unregister")
    assert ann.asks(PASSWORD) == ["> your account is gone"]
    assert ann.asks(f"/login ann {PASSWORD}") == ["err: that is not the password of that name"]
    ann.types("/nick ann")
    assert "is yours now" in ann.asks("/register another password")[-1]


def test_what_one_said_goes_by_the_account(town, ann, bob):
    """Who forgets, forgets what was said in all connections; who is ignored stays ignored."""
    ann.types("one")
    bob.types("/ignore ann")
    ann.types("/quit")
    ann = town.arrives(f"/login ann {PASSWORD}", "/join tea", "two", "/forget")
    bob.reads()
    ann.types("three")
    assert bob.reads() == []
    cyd = town.enters("cyd")
    assert [line[-5:] for line in cyd.asks("/history")] == ["three"]


# What a thief at the keyboard cannot do


@pytest.mark.parametrize("line", ["/passwd", "/unregister"])
def test_the_password_proves_who_is_there(town, ann, line):
    """A terminal that was left alone is not enough to take an account away."""
    ann.types(line)
    assert ann.asks("wrong horse") == ["err: that is not the password of that name"]
    assert not ann.client.concealed
    ann.types("/logout")
    assert "welcome back" in ann.asks(f"/login ann {PASSWORD}")[0]


def test_a_password_is_never_an_argument_of_passwd(town, ann):
    """It would stand on the screen; and whom an operator means is told by the name."""
    assert ann.asks("/passwd battery staple") == [
        "err: /passwd takes nothing more: it asks. usage: /passwd"
    ]


# Help


def test_help_shows_what_serves(town, ann):
    """Guests are told how to log in, and those who are logged in how to log out."""

    def words(guest):
        return {line.split()[1] for line in guest.asks("/help")}

    guest = words(town.arrives())
    assert {"/login", "/register"} <= guest - words(ann)
    assert {"/logout", "/passwd", "/unregister", "/sshkey"} == words(ann) - guest


# A password that is asked for


ASKED = "> type the password. telnet does not show it, other programs may"


def test_a_password_left_out_is_asked_for(town, ann):
    """The next line is the password, whatever it looks like, and nobody sees it."""
    bob = town.enters("bob")
    ann.types("/logout")
    bob.reads()
    assert ann.asks("/passwd") == ["err: you are not logged in. usage: /login NAME [PASSWORD]"]
    assert ann.asks("/login ann") == [ASKED]
    assert ann.client.concealed
    assert "welcome back" in ann.asks(PASSWORD)[0]
    assert not ann.client.concealed
    ann.types("/passwd", PASSWORD)
    assert ann.asks("/quit now") == ["> your password is changed"]
    ann.types("/logout", "/login ann", "/quit now")
    assert ann.session.who.account == "@ann"
    assert all("quit" not in line for line in bob.reads())


def test_registering_with_a_password_that_is_asked_for(town):
    """It is refused as if it had been given at once, and then nothing is asked any more."""
    ann = town.enters("ann")
    assert ann.asks("/register") == [ASKED]
    assert ann.asks("short") == ["err: a password has 8 to 128 bytes"]
    assert not ann.client.concealed
    assert ann.asks("/register") == [ASKED]
    assert "is yours now" in ann.asks(PASSWORD)[0]


def test_a_question_outlives_a_change_of_process(town, ann):
    """What is asked is plain data, like all of a session."""
    ann.types("/logout", "/login ann")
    if len(town.nodes) == 1:
        ann.moves_to_another_process()
    assert "welcome back" in ann.asks(PASSWORD)[-1]


def test_a_line_that_others_can_read(town, ann):
    """Who is about to type a password over it is warned."""
    ann.client.exposed = True
    assert ann.asks("/passwd") == [
        "> this line is not encrypted: others may read what you type",
        ASKED.replace("password", "password that you have now"),
    ]


# Letters


def test_a_private_line_waits_for_whoever_is_not_here(town, ann, bob):
    """It is shown, with its time, when they log in; then it waits no more."""
    ann.types("/quit")
    bob.reads()
    assert bob.asks("/tell Ann hello") == ["> [you -> ann] hello", "> ann is not here; it waits"]
    bob.types("/tell ann are you there?")
    again = town.arrives()
    _, first, second = again.asks(f"/login ann {PASSWORD}")
    assert first.startswith("> [20")
    assert first.endswith("] [bob -> you] hello")
    assert second.endswith("] [bob -> you] are you there?")
    again.types("/logout")
    assert len(again.asks(f"/login ann {PASSWORD}")) == 1


def test_a_reply_waits_too(town, ann, bob):
    """Whoever was told something by someone with an account can answer when they have gone."""
    ann.types("/tell bob hi", "/quit")
    bob.reads()
    assert bob.asks("/reply bye") == ["> [you -> ann] bye", "> ann is not here; it waits"]


def test_a_reply_reaches_whoever_came_back(town, ann, bob):
    """It is the account that counts, not the connection."""
    ann.types("/tell bob hi", "/quit")
    again = town.arrives(f"/login ann {PASSWORD}")
    again.reads()
    bob.types("/reply welcome")
    assert again.reads() == ["> [bob -> you] welcome"]


def test_letters_are_bounded(town, ann, bob):
    """So many wait, and no more; who writes one too many is told."""
    ann.types("/quit")
    for number in range(100):
        bob.types(f"/tell ann {number}")
    assert bob.asks("/tell ann 100")[-1] == "err: 100 lines wait for ann already"
    again = town.arrives()
    assert len(again.asks(f"/login ann {PASSWORD}")) == 101


def test_replies_are_letters_too(town, ann, bob):
    """No more of them wait, either."""
    ann.types("/tell bob hi", "/quit")
    for number in range(100):
        bob.types(f"/reply {number}")
    assert bob.asks("/reply 100")[-1] == "err: 100 lines wait for ann already"


def test_a_reply_is_for_who_had_the_account(town, ann, bob):
    """Nobody else is answered who has made one of the same name, and nobody who has none."""
    ann.types("/tell bob hi", "/unregister", PASSWORD)
    town.registers("ann")
    ann.reads()
    bob.types("/reply for you alone")
    assert ann.reads() == ["> [bob -> you] for you alone"]
    ann.types("/quit")
    assert bob.asks("/reply lost")[-1].endswith("has gone")


def test_nobody_is_written_to_who_does_not_exist(town, ann, bob):
    """Without an account there is nobody to wait for."""
    cyd = town.enters("cyd")
    cyd.types("/tell bob hi", "/quit")
    bob.reads()
    assert bob.asks("/tell cyd hello") == ["err: there is nobody called cyd"]
    assert bob.asks("/reply hello") == ["err: cyd has gone"]
    ann.types("/unregister", PASSWORD, "/quit")
    bob.reads()
    assert bob.asks("/tell ann hello") == ["err: there is nobody called ann"]
