"""Certificates that are renewed: what is read, and when it is served."""

import pytest
from doors import make_certificate
from real import need_module
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor

from twisted_chat.doors.certificates import Renewing

# Twisted's way of handing certificates over is an old one
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL")


@pytest.fixture
def renewing(tmp_path):
    need_module("OpenSSL")
    make_certificate(tmp_path)
    certificate = f"privateKey={tmp_path}/key.pem:certKey={tmp_path}/cert.pem"
    description = f"ssl:0:{certificate}"
    renewing = Renewing(MemoryReactor(), description)
    serverFromString(renewing, description).listen(Factory())
    return renewing


def served(renewing):
    """Give the context with which connections are made."""
    [(_, _, factory, _, _)] = renewing.sslServers
    return factory.getContext()


def test_the_same_certificate_is_no_news(renewing):
    """Nothing is to be done."""
    assert renewing.prepare() is None


def test_another_certificate_is_served_once_it_is_wanted(renewing, tmp_path):
    """Preparing changes nothing yet: another part of a reload may fail."""
    before = served(renewing)
    make_certificate(tmp_path)
    renew = renewing.prepare()
    assert served(renewing) is before
    renew()
    assert served(renewing) is not before
    assert renewing.prepare() is None


def test_a_key_of_another_certificate_is_refused(renewing, tmp_path):
    """The old one is served on."""
    before = served(renewing)
    key = (tmp_path / "key.pem").read_bytes()
    make_certificate(tmp_path)
    (tmp_path / "key.pem").write_bytes(key)
    with pytest.raises(Exception, match=r"."):
        renewing.prepare()
    assert served(renewing) is before


def test_other_ports_have_none():
    """There is nothing to renew."""
    renewing = Renewing(MemoryReactor(), "tcp:0")
    serverFromString(renewing, "tcp:0").listen(Factory())
    assert renewing.prepare() is None
