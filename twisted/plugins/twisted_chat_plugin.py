"""The ``tcpchat`` plugin of twistd."""

from twisted.application.service import ServiceMaker

tcpchat = ServiceMaker(
    "Twisted chat",
    "twisted_chat.tap",
    "A chat server: people reach it with telnet.",
    "tcpchat",
)
