"""Where people come from: what counts as one place, and what is a network."""

import pytest

from twisted_chat.chat import names
from twisted_chat.chat.addresses import covers, network, place, place_network
from twisted_chat.chat.events import ChatError


@pytest.mark.parametrize(
    ("address", "counts_as", "as_network"),
    [
        ("203.0.113.7", "203.0.113.7", "203.0.113.7/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::", "::/64"),
        ("", "", ""),
    ],
)
def test_one_place(address, counts_as, as_network):
    """Of an IPv6 address, half is the customer's own choice."""
    assert place(address) == counts_as
    assert place_network(address) == as_network


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("2001:DB8::7", "2001:db8::7/128"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        *[(text, None) for text in ("ann", "1", "203.0.113", "203.0.113.7/33", "", "x/8", "*")],
    ],
)
def test_networks(text, means):
    """What is typed is brought to one form, in which it is found again; the rest is none."""
    assert network(text) == means


def test_who_comes_from_a_network():
    """Someone from nowhere comes from none."""
    assert covers("203.0.113.0/24", "203.0.113.200")
    assert not covers("203.0.113.0/24", "203.0.114.1")
    assert not covers("203.0.113.0/24", "2001:db8::1")
    assert not covers("0.0.0.0/0", "")


def test_no_name_is_an_address():
    """A ban of one or the other would mean both."""
    with pytest.raises(ChatError, match="is an address"):
        names.nick("203.0.113.7")
