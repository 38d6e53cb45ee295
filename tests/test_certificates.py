"""Certificates that are renewed: what is read, and when it is served."""

import pytest
from doors import make_certificate
from real import need_module
from twisted.internet import endpoints
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor

from twisted_chat.doors.certificates import Renewing

# Twisted's way of handing certificates over is an old one
pytestmark = [
    pytest.mark.filterwarnings("ignore:Passing pyOpenSSL"),
    pytest.mark.filterwarnings("ignore:X509:DeprecationWarning"),
]


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


@pytest.mark.skipif(
    not hasattr(endpoints, "wrapServerTLS"), reason="this Twisted has no tls: ports"
)
def test_a_folder_of_certificates_is_read_anew(tmp_path):
    """A ``tls:`` port serves what is in it by then; a broken file changes nothing."""
    need_module("OpenSSL")
    make_certificate(tmp_path)
    description = f"tls:{tmp_path}:0"
    renewing = Renewing(MemoryReactor(), description)
    serverFromString(renewing, description).listen(Factory())
    [(_, served, _, _)] = renewing.tcpServers
    before = served.current
    make_certificate(tmp_path)
    renew = renewing.prepare()
    assert served.current is before
    renew()
    assert served.current is not before
    before, whole = served.current, (tmp_path / "cert.pem").read_bytes()
    (tmp_path / "cert.pem").write_bytes(whole[:100])
    with pytest.raises(Exception, match=r"."):
        renewing.prepare()
    assert served.current is before
