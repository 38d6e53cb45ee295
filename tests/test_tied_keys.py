"""SSH keys: those that log in to an account, who came with which, and bans of them."""

import pytest
from test_sshkeys import KEYS
from town import ALONE, PASSWORD, Guest, Town

from twisted_chat.chat.charter import NO_CHARTER, Sanction
from twisted_chat.chat.limits import SSH_KEYS
from twisted_chat.chat.sshkeys import fingerprint

KEY, SHOWN = f"ssh-ed25519 {KEYS['ssh-ed25519'][0]} ann@home", KEYS["ssh-ed25519"][1]
OTHER = KEYS["ssh-rsa"][1]
"""Which has a ``/`` in it, as networks have."""
ASKED = (
    "> type the password, to tie that key to your account. telnet does not show it, "
    "other programs may"
)
LOGIN = "usage: /login NAME [PASSWORD]"


@pytest.fixture
def ann(town: Town) -> Guest:
    """Someone with an account, who came without a key, and owns a room."""
    return town.registers("ann", "tea")


@pytest.fixture
def root(town: Town) -> Guest:
    """An operator of the server."""
    return town.registers("root")


def keeps(guest, *keys):
    """Have an account have these keys."""
    accounts = guest.session.rooms.accounts
    guest.town.settles(accounts.keep_ssh_keys(guest.session.who.account, keys))


def kept(guest):
    return guest.town.settles(guest.session.rooms.accounts.ssh_keys(guest.session.who.account))


def logs_in(town, key, name="ann"):
    """Have someone come with a key and log in."""
    guest = town.arrives(f"/login {name} {PASSWORD}", fingerprint=key)
    assert guest.session.who.account == f"@{name}"
    guest.reads()
    return guest


# Keys of one's own


def test_a_key_is_tied_to_an_account(town, ann):
    """It is the one in the file, and the password is asked for: it is another way to log in."""
    assert ann.asks("/sshkey") == ["> no key is tied to your account. usage: /sshkey add KEY"]
    assert ann.asks(f"/sshkey add {KEY}") == [ASKED]
    assert ann.client.concealed
    assert kept(ann) == ()
    assert ann.asks(PASSWORD) == [f"> {SHOWN} logs you in from now on"]
    assert not ann.client.concealed
    assert ann.asks("/sshkey") == ann.asks("/SSHKEY List") == [f"> {SHOWN}"]
    assert ann.asks(f"/sshkey add {KEY}") == [f"err: {SHOWN} is tied to your account already"]
    assert kept(ann) == (SHOWN,)


def test_the_key_that_one_came_with(town, ann):
    """It is offered, and need not be typed."""
    keeps(ann, SHOWN)
    ann.types("/quit")
    ann = logs_in(town, OTHER)
    offered = f"> you came with {OTHER}. /sshkey add ties it to your account"
    assert ann.asks("/sshkey") == [f"> {SHOWN}", offered]
    ann.types("/sshkey add")
    assert ann.asks(PASSWORD) == [f"> {OTHER} logs you in from now on"]
    assert ann.asks("/sshkey list") == [f"> {SHOWN}", f"> {OTHER}, you came with it"]
    assert ann.asks("/sshkey add") == [f"err: {OTHER} is tied to your account already"]


def test_another_connection_has_a_key_of_its_own(town, ann):
    """Whoever logs in elsewhere goes on there, and came with what they came with there."""
    again = logs_in(town, SHOWN)
    assert again.asks("/sshkey")[0].startswith(f"> you came with {SHOWN}")
    again = logs_in(town, "")
    assert again.asks("/sshkey add") == ["err: you came without a key. usage: /sshkey add KEY"]


def test_who_came_without_a_key_has_none_to_add(town, ann):
    """They have to say which."""
    assert ann.asks("/sshkey add") == ["err: you came without a key. usage: /sshkey add KEY"]


def test_a_thief_at_the_keyboard_ties_no_key(town, ann):
    """A terminal that was left alone is not enough: the password proves who is there."""
    ann.types(f"/sshkey add {KEY}")
    assert ann.asks("wrong horse") == ["err: that is not the password of that name"]
    assert kept(ann) == ()
    assert not ann.client.concealed
    for line in ("/sshkey add", f"/sshkey add {SHOWN} {PASSWORD}", f"/sshkey add {KEY} {PASSWORD}"):
        ann.types(line)
    assert kept(ann) == ()


def test_guessing_counts(town, ann):
    """It is the same password, by whichever command it is guessed."""
    for _ in range(5):
        ann.types(f"/sshkey add {KEY}", "wrong horse")
    ann.types(f"/sshkey add {KEY}")
    assert ann.asks(PASSWORD) == ["err: too many wrong passwords. wait for 2 seconds"]


def test_a_password_that_is_not_given_is_asked_for_again(town, ann):
    """Nothing is tied for an empty line."""
    assert ann.asks(f"/sshkey add {KEY}") == ann.asks("") == [ASKED]
    ann.types(PASSWORD)
    assert kept(ann) == (SHOWN,)


def test_what_is_no_key(town, ann):
    """It is refused before the password is asked for, and a private key is not repeated."""
    assert ann.asks("/sshkey add hello")[0].startswith("err: that is no public key of SSH")
    private = "-----BEGIN OPENSSH PRIVATE KEY-----"
    assert ann.asks(f"/sshkey add {private}") == [
        "err: that is a private key, which nobody else may see. the public one ends in .pub"
    ]
    assert not ann.client.concealed


def test_keys_are_bounded(town, ann):
    """So many, and no more, not even if they were added while the password was typed."""
    keys = [fingerprint(bytes([number])) for number in range(SSH_KEYS)]
    full = f"err: {SSH_KEYS} keys are tied to your account already. /sshkey lists them"
    keeps(ann, *keys[1:])
    ann.types(f"/sshkey add {KEY}")
    keeps(ann, *keys)
    assert ann.asks(PASSWORD) == [full]
    assert ann.asks(f"/sshkey add {KEY}") == [full]
    assert ann.asks("/sshkey") == [f"> {key}" for key in keys]
    ann.types(f"/sshkey remove {keys[3]}", f"/sshkey add {KEY}", PASSWORD)
    assert kept(ann) == (*keys[:3], *keys[4:], SHOWN)


def test_a_key_is_removed(town, ann):
    """Its beginning is enough, if it is that of no other."""
    one, two = (f"SHA256:{begin}{SHOWN[9:]}" for begin in ("ab", "aB"))
    keeps(ann, one, two, OTHER)
    assert ann.asks("/sshkey remove a") == ["err: 2 keys of yours begin with a. /sshkey lists them"]
    assert ann.asks("/sshkey remove SHA256:x") == [
        "err: no key of yours is SHA256:x. /sshkey lists them"
    ]
    for nothing in ("/sshkey remove", "/sshkey remove SHA256:"):
        assert ann.asks(nothing) == [
            "err: fingerprint is required. usage: /sshkey remove FINGERPRINT"
        ]
    assert kept(ann) == (one, two, OTHER)
    assert ann.asks("/sshkey remove aB") == [f"> {two} logs you in no more"]
    assert ann.asks("/sshkey remove SHA256:a") == [f"> {one} logs you in no more"]
    assert ann.asks(f"/sshkey remove {OTHER}") == [f"> {OTHER} logs you in no more"]
    assert kept(ann) == ()


@pytest.mark.parametrize("line", ["/sshkey what", "/sshkey list all", f"/sshkey {KEY}"])
def test_what_sshkey_does_not_know(town, ann, line):
    """It is told what it takes."""
    assert ann.asks(line) == [
        "err: list, add or remove is required. "
        "usage: /sshkey [list], add [KEY] or remove FINGERPRINT"
    ]


def test_keys_outlive_another_password(town, ann, root):
    """Whether one's own hand gives it or an operator's."""
    keeps(ann, SHOWN)
    ann.types("/passwd", PASSWORD, "battery staple")
    root.types("/passwd ann", "another horse")
    assert kept(ann) == (SHOWN,)


def test_keys_go_with_the_account(town, ann):
    """Whoever takes the name later has nothing to do with them."""
    keeps(ann, SHOWN)
    ann.types("/unregister", PASSWORD, "/nick ann", f"/register {PASSWORD}")
    assert kept(ann) == ()


def test_an_account_that_is_not_kept_here(town, ann):
    """Its keys are not either."""
    town.settles(town.nodes[0].store.drop_account("@ann"))
    for line in ("/sshkey", f"/sshkey add {KEY}", "/sshkey remove a"):
        assert ann.asks(line) == ["err: your account is not kept here"]


def test_guests_have_no_keys(town):
    """There is nothing to which they could be tied."""
    guest = town.arrives(fingerprint=SHOWN)
    assert guest.asks("/sshkey add")[-1] == f"err: you are not logged in. {LOGIN}"


@pytest.mark.parametrize("kind", ALONE)
def test_keys_outlive_the_process(kind):
    """Another one goes on with them, and knows who came with which."""
    town = Town(kind)
    town.registers("ann").types("/quit")
    ann = logs_in(town, SHOWN)
    ann.types("/sshkey add", PASSWORD)
    ann.reads()
    town.moves()
    assert ann.asks("/sshkey") == [f"> {SHOWN}, you came with it"]
    if kind == "on disk":
        town.crashes()
        assert logs_in(town, "").asks("/sshkey") == [f"> {SHOWN}"]


# Who came with which


def test_who_came_with_which(town, ann, root):
    """It is shown to who runs the server, and to nobody else."""
    bob = town.arrives("/nick bob", address="203.0.113.7", fingerprint=SHOWN)
    cyd = town.arrives("/nick cyd", fingerprint=OTHER)
    assert root.asks("/whois bob")[0].endswith(f", from 203.0.113.7, with the key {SHOWN}")
    assert root.asks("/whois cyd")[0].endswith(f"connected for 0 seconds, with the key {OTHER}")
    assert "key" not in root.asks("/whois ann")[0]
    for guest in (ann, bob, cyd):
        assert "SHA256" not in guest.asks("/whois bob")[0]


# Bans


def test_banning_a_key_from_the_server(town, ann, root):
    """All guests who come with it have to log in, wherever they come from; nobody else has to."""
    bob = town.arrives("/nick bob", "/join tea", address="203.0.113.7", fingerprint=OTHER)
    ann.types("/quit")
    ann = logs_in(town, OTHER)
    bob.reads()
    assert root.asks(f"/ban * {OTHER} 2h spam") == [f"> root banned {OTHER} for 2 hours (spam)"]
    assert bob.reads()[-1] == "err: you are banned for another 2 hours: spam"
    assert bob.client.closed is not None
    assert ann.client.closed is None
    assert "welcome" in town.arrives(address="203.0.113.7").asks("/join tea")[0]
    assert "welcome" in town.arrives(fingerprint=SHOWN).asks("/join tea")[0]
    again = town.arrives(address="192.0.2.9", fingerprint=OTHER)
    refusal = f"err: your key is banned for another 2 hours: spam. {LOGIN}"
    assert again.reads()[-1] == refusal
    assert again.asks("/join tea") == [refusal]
    assert "welcome back" in again.asks(f"/login ann {PASSWORD}")[0]
    again.types("/logout")
    assert again.asks("/who")[-1] == refusal
    assert root.asks("/bans *") == [f"> {OTHER} is banned, for another 2 hours, by root: spam"]
    assert root.asks(f"/unban * {OTHER}") == [f"> root unbanned {OTHER}"]
    assert "err" not in again.asks("/join tea")[0]


def test_banning_a_key_from_a_room(town, ann, root):
    """Who runs the room alone cannot: they do not know who has which."""
    root.types("/join tea")
    bob = town.arrives("/nick bob", "/join tea", fingerprint=OTHER)
    ann.reads()
    assert ann.asks(f"/ban {OTHER}") == [
        "err: only operators of the server ban keys. usage: /ban NAME"
    ]
    root.reads()
    assert root.asks(f"/ban {OTHER} 1h") == [
        f"> root banned {OTHER} for 1 hour",
        "> bob has left the room",
    ]
    assert bob.reads()[-1] == "> you are banned from tea for another 1 hour"
    again = town.arrives(fingerprint=OTHER)
    assert again.asks("/join tea") == ["err: you are banned from tea for another 1 hour"]
    assert ann.asks("/bans")[-1] == f"> {OTHER} is banned, for another 1 hour, by root"
    assert ann.asks(f"/unban {OTHER}") == [f"> ann unbanned {OTHER}"]
    assert "welcome" in again.asks("/join tea")[0]


def test_a_fingerprint_has_to_be_whole(town, root):
    """A beginning is nobody's."""
    assert root.asks(f"/ban * {OTHER[:-1]}") == [f"err: there is nobody called {OTHER[:-1]}"]
    assert root.asks(f"/unban * {OTHER}") == [f"err: {OTHER} is not banned. usage: /bans [*]"]


@pytest.mark.parametrize("kind", ALONE)
def test_a_ban_of_a_key_lasts(kind):
    """It is not about somebody who is here, and holds in another process, too."""
    town = Town(kind)
    root = town.registers("root", "tea")
    root.types(f"/ban * {OTHER}", f"/ban {OTHER}", "/ban * 10.0.0.1")
    root.reads()
    town.moves()
    assert root.asks("/bans *")[0] == f"> {OTHER} is banned, by root"
    assert root.asks("/bans") == [f"> {OTHER} is banned, by root"]
    if kind == "on disk":
        town.crashes()
    assert town.arrives(fingerprint=OTHER).reads()[-1] == f"err: your key is banned. {LOGIN}"


def test_what_lasts():
    """A key is no network, whatever characters it has, and no guest who may be gone."""
    ban = Sanction("ban", OTHER, OTHER, "root", "", 0.0, None)
    assert "/" in OTHER
    for subject, lasts in ((OTHER, True), (SHOWN, True), ("a-1.1", False), ("10.0.0.0/8", True)):
        charter = NO_CHARTER.sanctioned(ban._replace(subject=subject))
        assert bool(charter.lasting(1.0).sanctions) is lasts
        assert charter.sanctions[0].is_of_a_key is subject.startswith("SHA256:")
