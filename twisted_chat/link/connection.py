"""One connection to a Redis server, from its beginning to its end."""

import re
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from twisted_chat.link.target import Target

CONNECT_SECONDS = 5
CLOSE_SECONDS = 1.0
OLDEST = (6, 2)
"""The oldest version of a server that has all that is asked of one."""


class LinkError(Exception):
    """A call that got no answer."""

    def __init__(self, why: str, *, sent: bool) -> None:
        """
        :param sent: whether nobody knows if it was carried out; if not, it certainly was not.
        """
        super().__init__(why)
        self.sent = sent


class RedisError(Exception):
    """What the server says when it does not do what it was asked."""


def endpoint(reactor: Any, target: Target) -> Any:
    """Give what connects.

    :raises OSError: the file of trusted certificates cannot be read.
    :raises ValueError: there are none in it.
    """
    if target.path:
        return UNIXClientEndpoint(reactor, target.path, timeout=CONNECT_SECONDS)
    plain = HostnameEndpoint(reactor, target.host, target.port, timeout=CONNECT_SECONDS)
    if not target.tls:
        return plain
    from twisted.internet import ssl  # noqa: PLC0415  an extra that only this needs

    trusted = None
    if target.ca:
        found = re.findall(
            b"-----BEGIN CERT.+?END CERTIFICATE-----", Path(target.ca).read_bytes(), re.DOTALL
        )
        if not found:
            raise ValueError(f"there is no certificate in {target.ca}")
        trusted = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(one) for one in found])
    return wrapClientTLS(ssl.optionsForClientTLS(target.host, trusted), plain)


def factory() -> Any:
    """Give what makes connections."""
    # not before a reactor has been chosen, for this chooses one
    from txredisapi import ConnectionError, RedisProtocol, ResponseError  # noqa: A004, PLC0415

    class Connection(RedisProtocol):
        """One connection, from its beginning to its end."""

        def __init__(self) -> None:
            super().__init__(charset=None, convertNumbers=False)
            self.scripts: set[str] = set()
            """The digests of those that were sent."""
            self.ended: Deferred[None] = Deferred()
            self.why = ""

        def abort(self, why: str) -> None:
            self.why = self.why or why
            self.transport.abortConnection()

        def close(self, reactor: Any) -> None:
            """End in order, if the server still reads."""
            self.transport.loseConnection()
            alarm = reactor.callLater(CLOSE_SECONDS, self.abort, "the end")
            self.whenDisconnected().addCallback(lambda _: alarm.active() and alarm.cancel())

        def replyReceived(self, reply: Any) -> None:
            if isinstance(reply, ResponseError):
                reply = RedisError(str(reply))
            elif isinstance(reply, ConnectionError):
                reply = LinkError(f"Redis is not there: {self.why}", sent=True)
            super().replyReceived(reply)

        def connectionLost(self, why: Failure) -> None:
            self.why = self.why or str(why.value)
            self.ended.callback(None)  # first: nobody is to ask anything of it any more
            super().connectionLost(why)

    made = Factory.forProtocol(Connection)
    made.noisy = False
    return made


def refuse_useless(info: bytes) -> None:
    """Look at what a server says of itself.

    :raises RedisError: it cannot be used, or not yet.
    """
    told = dict(re.findall(r"^(\w+):(.*?)\r?$", info.decode("utf-8", "replace"), re.MULTILINE))
    version = told.get("redis_version", "0")
    if tuple(int(number) for number in re.findall("[0-9]+", version)[:2]) < OLDEST:
        raise RedisError(f"it is version {version}, and 6.2 is the oldest that will do")
    if told.get("role") == "slave":
        raise RedisError("it is a replica, which keeps nothing that it is not given by another")
    if told.get("loading", "0") != "0":
        raise RedisError("it is still reading what it has kept")
