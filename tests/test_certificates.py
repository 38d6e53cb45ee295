"""Certificates that are renewed: what is read, and when it is served."""

import sys

import pytest
from doors import make_certificate
from real import need_module
from twisted.internet import endpoints
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor, MemoryReactorClock

from twisted_chat import ChatService
from twisted_chat.doors.certificates import Renewing, stamp
from twisted_chat.doors.listener import Listener

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


@pytest.fixture
def listener(tmp_path):
    """A port with a certificate, that listens."""
    need_module("OpenSSL")
    make_certificate(tmp_path)
    certificate = f"privateKey={tmp_path}/key.pem:certKey={tmp_path}/cert.pem"
    listener = Listener(MemoryReactor(), f"ssl:0:{certificate}", Factory())
    listener.startService()
    return listener


def test_a_certificate_is_renewed_by_itself(listener, tmp_path, log_lines):
    """Once its files are others; while they are the same, they are not even read."""
    before = served(listener._reactor)
    listener.watch_certificate()
    assert served(listener._reactor) is before
    make_certificate(tmp_path)
    listener.watch_certificate()
    after = served(listener._reactor)
    assert after is not before
    listener.watch_certificate()
    assert served(listener._reactor) is after
    assert [line.partition(" of")[0] for line in log_lines] == ["renewed the certificate"]


def test_a_certificate_that_is_half_written(listener, tmp_path, log_lines, logged_failures):
    """The old one is served on, which is told once; when the file is whole, it is taken."""
    before = served(listener._reactor)
    make_certificate(tmp_path)
    whole = (tmp_path / "cert.pem").read_bytes()
    (tmp_path / "cert.pem").write_bytes(whole[:100])
    for _ in range(3):
        listener.watch_certificate()
    assert served(listener._reactor) is before
    (tmp_path / "cert.pem").write_bytes(whole)
    listener.watch_certificate()
    assert served(listener._reactor) is not before
    wrong, right = log_lines
    assert wrong.startswith("goes on with the old certificate: ssl:0:")
    assert right.startswith("renewed")
    assert len(logged_failures.events) == 1
    logged_failures.events.clear()


def test_what_a_reload_has_renewed_is_not_renewed_again(listener, tmp_path, log_lines):
    """It is no news any more."""
    make_certificate(tmp_path)
    renew = listener.prepare_certificate()
    listener._stamp = None
    renew()
    listener.watch_certificate()
    assert log_lines == []


def test_the_files_of_an_endpoint(tmp_path, monkeypatch):
    """Whatever an endpoint names that is a file or a folder is looked at, and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:b").mkdir()
    (tmp_path / "a:b" / "one.pem").write_text("1")
    (tmp_path / "key.pem").write_text("2")
    found = stamp(f"tls:{tmp_path}/a\\:b:8443:interface=\\:\\:")
    assert [name for name, *_ in found] == [f"{tmp_path}/a:b/one.pem"]
    found = stamp(f"ssl:8443:privateKey={tmp_path}/key.pem:certKey={tmp_path}/none.pem")
    assert [name for name, *_ in found] == [f"{tmp_path}/key.pem"]
    assert stamp("tcp:8888:interface=127.0.0.1") == []
    assert stamp("tcp:8888:interface=") == []


def test_to_look_at_certificates_leaves_nothing_behind(tmp_path, monkeypatch):
    """It is done again and again: what Python interns would pile up."""
    (tmp_path / "one.pem").write_text("1")
    interned = []
    monkeypatch.setattr(sys, "intern", lambda text: interned.append(text) or text)
    assert len(stamp(f"tls:{tmp_path}:8443")) == 1
    assert interned == []


def test_a_chat_looks_after_its_certificates(tmp_path, log_lines):
    """Nobody has to tell it: a minute after a renewal the new one is served."""
    need_module("OpenSSL")
    make_certificate(tmp_path)
    reactor = MemoryReactorClock()
    port = f"ssl:0:privateKey={tmp_path}/key.pem:certKey={tmp_path}/cert.pem"
    ChatService(reactor, [port]).startService()
    before = served(reactor)
    make_certificate(tmp_path)
    reactor.advance(59)
    assert served(reactor) is before
    reactor.advance(1)
    assert served(reactor) is not before
