"""Who may come in."""

from dataclasses import replace

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock

from twisted_chat.chat.limits import Limits
from twisted_chat.doors.address import Admission, is_afar, origin


class Gate:
    """An admission with limits and a clock at hand."""

    def __init__(self, **limits):
        self.limits = replace(Limits(max_per_address=0), **limits)
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.admission = Admission(lambda: self.limits, self.clock.seconds)

    def comes(self, address):
        """Let someone in if they may; give the refusal if not."""
        why = self.admission.refusal(address)
        if not why:
            self.admission.enter(address)
        return why

    def goes(self, address):
        self.admission.leave(address)

    def remembered(self):
        """Tell how many addresses are kept in any way."""
        return sum(len(kept) for kept in vars(self.admission).values() if isinstance(kept, dict))


def ip(host):
    family = IPv6Address if ":" in host else IPv4Address
    return family("TCP", host, 1234)


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        (ip("192.0.2.1"), "192.0.2.1"),
        (ip("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::"),
        (ip("2001:db8:1:2::"), "2001:db8:1:2::"),
        (ip("::1"), "::"),
        (ip("::ffff:192.0.2.1"), "192.0.2.1"),
        (ip("fe80::1%eth0"), "fe80::"),
        (IPv4Address("TCP", "not an address", 1), None),
        (UNIXAddress(b"/run/chat"), None),
        (UNIXAddress(None), None),
        (None, None),
    ],
)
def test_what_an_address_counts_as(address, counted_as):
    """IPv4 counts alone, IPv6 by /64, IPv4 in IPv6 as IPv4; all else is not counted."""
    assert origin(address) == counted_as


def test_so_many_at_a_time_from_one_address():
    """The address that has its share here is refused, others are not; leaving makes room."""
    gate = Gate(max_per_address=2)
    assert gate.comes(ip("192.0.2.1")) == ""
    assert gate.comes(ip("::ffff:192.0.2.1")) == ""
    assert gate.comes(ip("192.0.2.1")) == "there are 2 connections from your address already"
    assert gate.comes(ip("192.0.2.2")) == ""
    gate.clock.advance(60)
    gate.goes(ip("192.0.2.1"))
    assert gate.comes(ip("192.0.2.1")) == ""


def test_a_network_of_one_person_counts_as_one():
    """All addresses of an IPv6 /64 share its share."""
    gate = Gate(max_per_address=2)
    assert [bool(gate.comes(ip(f"2001:db8::{number}"))) for number in (1, 2, 3)] == [0, 0, 1]
    assert gate.comes(ip("2001:db8:0:1::1")) == ""


def test_so_many_new_ones_a_minute_from_one_address():
    """Who comes and goes all the time is refused until the minute is over."""
    gate = Gate(max_per_address=3)
    for _ in range(3):
        assert gate.comes(ip("192.0.2.1")) == ""
        gate.goes(ip("192.0.2.1"))
    refusal = "more than 3 connections from your address in a minute. try again later"
    assert gate.comes(ip("192.0.2.1")) == refusal
    assert gate.comes(ip("192.0.2.2")) == ""
    gate.clock.advance(59)
    assert gate.comes(ip("192.0.2.1")) == refusal
    gate.clock.advance(1)
    assert gate.comes(ip("192.0.2.1")) == ""


def test_a_clock_set_back_begins_a_new_minute():
    """Nobody is shut out for an hour because the clock was set back by one."""
    gate = Gate(max_per_address=1)
    gate.comes(ip("192.0.2.1"))
    gate.goes(ip("192.0.2.1"))
    assert gate.comes(ip("192.0.2.1")) != ""
    gate.clock.rightNow -= 3600
    assert gate.comes(ip("192.0.2.1")) == ""


def test_so_many_in_all():
    """The chat is full for everybody, those on a unix socket too, until someone leaves."""
    gate = Gate(max_connections=2)
    assert gate.comes(ip("192.0.2.1")) == ""
    assert gate.comes(UNIXAddress(None)) == ""
    assert gate.comes(UNIXAddress(None)) == "the chat is full. try again later"
    assert gate.comes(ip("192.0.2.2")) == "the chat is full. try again later"
    gate.goes(UNIXAddress(None))
    assert gate.comes(ip("192.0.2.2")) == ""


def test_unix_peers_are_not_counted_by_address():
    """Any number may come by a unix socket, where there is no address to count."""
    gate = Gate(max_per_address=1)
    assert [gate.comes(UNIXAddress(None)) for _ in range(10)] == [""] * 10
    assert gate.admission.connections == 10


def test_zero_is_no_limit():
    """Without limits everybody may come."""
    gate = Gate()
    assert {gate.comes(ip("192.0.2.1")) for _ in range(1000)} == {""}


def test_limits_that_change_count_at_once():
    """The limits are those in force now, not those of the start."""
    gate = Gate()
    gate.comes(ip("192.0.2.1"))
    gate.limits = replace(gate.limits, max_per_address=1)
    assert gate.comes(ip("192.0.2.1")) == "there are 1 connections from your address already"


@pytest.mark.parametrize("limit", [0, 64])
def test_nothing_is_remembered_of_those_who_have_gone(limit):
    """However many addresses come and go, limited or not, those of a minute are kept at most."""
    gate = Gate(max_per_address=limit)
    for number in range(1000):
        address = ip(f"10.0.{number // 256}.{number % 256}")
        assert gate.comes(address) == ""
        gate.goes(address)
        gate.clock.advance(6)
    assert gate.admission.connections == 0
    assert gate.remembered() <= 10


@pytest.mark.parametrize(
    ("host", "afar"),
    [
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("192.0.2.1", True),
        ("10.0.0.1", True),
    ],
)
def test_who_is_afar(host, afar):
    """What a machine says to itself nobody else can read."""
    assert is_afar(IPv4Address("TCP", host, 1)) is afar
    assert is_afar(IPv6Address("TCP", f"::ffff:{host}", 1)) is afar
    assert not is_afar(IPv6Address("TCP", "::1", 1))
    assert is_afar(IPv6Address("TCP", "2001:db8::1", 1))
    assert not is_afar(UNIXAddress(b"/run/chat"))
