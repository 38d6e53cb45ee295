"""The web page: a few files, and a WebSocket to talk over."""

from collections.abc import Iterable
from functools import partial
from importlib.resources import files
from typing import Any, NamedTuple

from autobahn.twisted.resource import WebSocketResource
from twisted.internet.interfaces import IAddress
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from twisted_chat.doors.http import Bodiless, QuietSite
from twisted_chat.doors.tcp import ChatFactory
from twisted_chat.doors.weborigin import origin_of
from twisted_chat.doors.websocket import SocketFactory

REQUEST_SECONDS = 15
FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "chat.css": ("chat.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    **{
        name: (name, "text/javascript; charset=utf-8")
        for name in ("chat.js", "connection.js", "input.js", "view.js")
    },
}
"""What is served, by path: a file beside this one, and its type."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class PageRequest(Bodiless):
    """A request that knows where it comes from."""

    def __init__(self, *how: Any, address: IAddress | None, **more: Any) -> None:
        """
        :param address: of the peer.
        """
        super().__init__(*how, **more)
        self.address = address


class File(Resource):
    """A file of the page."""

    isLeaf = True

    def __init__(self, content: bytes, kind: str) -> None:
        super().__init__()
        self._content, self._kind = content, kind

    def render_GET(self, request: Request) -> bytes:
        request.setHeader("Content-Type", self._kind)
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        return self._content


class SocketResource(Resource):
    """Where a page opens its WebSocket."""

    isLeaf = True

    def __init__(self, factory: SocketFactory) -> None:
        super().__init__()
        self._factory = factory

    def render(self, request: Request) -> Any:
        # a request of any other site knows its peer alone
        address = getattr(request, "address", None) or request.getClientAddress()
        return WebSocketResource(_From(self._factory, address)).render(request)


class _From(NamedTuple):
    """Builds one WebSocket, which knows where its page comes from: a proxy hides that."""

    factory: SocketFactory
    address: IAddress | None

    def buildProtocol(self, _peer: IAddress) -> Any:
        socket: Any = self.factory.buildProtocol(self.address)
        socket.address = self.address
        return socket


class Page(Resource):
    """The page and its WebSocket, for a site: ``root.putChild(b"chat", Page(chat.factory))``.

    It is at ``/chat/`` then.
    """

    def __init__(self, chat: ChatFactory, origins: Iterable[str] = ()) -> None:
        """
        :param origins: of other sites whose pages may come: ``https://example.org``.
        :raises ValueError: one of these is none.
        """
        super().__init__()
        here = files(__package__) / "page"
        for path, (name, kind) in FILES.items():
            self.putChild(path.encode(), File((here / name).read_bytes(), kind))
        allowed = frozenset(map(origin_of, origins))
        self.putChild(b"ws", SocketResource(SocketFactory(chat, allowed)))

    def getChild(self, _path: bytes, _request: Request) -> IResource:
        return notFound()  # that of the base is deprecated


class Web(QuietSite):
    """Serves the page."""

    def __init__(self, chat: ChatFactory, origins: Iterable[str] = ()) -> None:
        """
        :param origins: of other sites whose pages may come: ``https://example.org``.
        :raises ValueError: one of these is none.
        """
        root = Page(chat, origins)
        root.putChild(b"healthz", File(b"ok\n", "text/plain; charset=utf-8"))
        super().__init__(root, reactor=chat.clock, timeout=REQUEST_SECONDS)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        channel: Any = super().buildProtocol(addr)
        channel.requestFactory = partial(PageRequest, address=addr)
        return channel
