"""A web application that gains a chat: ``twistd -ny examples/embed.py``.

The site is at http://localhost:8080/ and the chat at ``telnet localhost 8888``.  The page /chat
shows the last lines of the room "lobby", and what is typed into its form is said there.
The endpoints can be set in the environment: ``WEB=tcp:80 CHAT=tcp:23``.
"""

import os
from collections import deque
from html import escape

from twisted.application import strports
from twisted.application.service import Application, Service
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from twisted_chat import PLAIN, ChatService, Ending
from twisted_chat.interfaces import IClient

LONGEST = 200  # characters that the form says at a time

PAGE = """<!doctype html><meta charset="utf-8"><title>{title}</title>
<h1>{title}</h1>{body}"""
FORM = """<form method="post"><input name="text" maxlength="{longest}" autofocus>
<button>say</button></form>"""


def page(title: str, body: str) -> bytes:
    """Give a page of HTML."""
    return PAGE.format(title=title, body=body).encode()


# The application as it was: a page.


class Home(Resource):
    def render_GET(self, request: Request) -> bytes:
        return page("My site", '<p>We have a <a href="/chat">chat</a> now.')


# What it gains: someone in the chat, and a page of what they hear and say.


@implementer(IClient)
class Window(Service):
    """A person in the chat, within this process: hears a room, and can speak in it."""

    echo = True  # let it hear what it says itself
    exposed = False  # nobody is between it and the chat

    def __init__(self, chat: ChatService, name: str, room: str) -> None:
        self.format = PLAIN
        self.lines: deque[str] = deque(maxlen=50)
        self._chat, self._name, self._room = chat, name, room

    def startService(self) -> None:
        super().startService()
        self._session = self._chat.rooms.connect(self)
        self._session.receive(f"/nick {self._name}")
        self._session.receive(f"/join {self._room}")

    def say(self, text: str) -> bool:
        """Say something, as far as flood control allows; it is no command, whatever it says."""
        if self._session.pause():
            return False
        self._session.receive(f"/msg {text}")
        return True

    def send(self, data: bytes) -> None:
        """Take whole lines from the chat."""
        self.lines.extend(data.decode().split("\r\n")[:-1])

    def conceal(self, hidden: bool) -> None:
        """Nothing: nobody types here."""

    def close(self, reason: str, ending: Ending) -> None:
        """Take note that the chat is over: with the process, here."""


class WindowPage(Resource):
    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window = window

    def render_GET(self, request: Request) -> bytes:
        # What people say is text, never markup.
        lines = escape("\n".join(self._window.lines))
        return page("Lobby", f"<pre>{lines}</pre>" + FORM.format(longest=LONGEST))

    def render_POST(self, request: Request) -> bytes:
        text = request.args.get(b"text", [b""])[0].decode("utf-8", "replace")
        if len(text) > LONGEST:
            request.setResponseCode(413)
            return page("Too long", f"<p>At most {LONGEST} characters, please.")
        if text.strip() and not self._window.say(text):
            request.setResponseCode(429)
            return page("Too fast", "<p>Wait a moment, please.")
        request.redirect(b"/chat")  # so that a reload does not say it again
        return b""


application = Application("site")

chat = ChatService(reactor, [os.environ.get("CHAT", "tcp:8888")])
chat.setServiceParent(application)
window = Window(chat, name="website", room="lobby")
window.setServiceParent(application)

root = Resource()
root.putChild(b"", Home())
root.putChild(b"chat", WindowPage(window))
site = strports.service(os.environ.get("WEB", "tcp:8080"), Site(root))
site.setServiceParent(application)
