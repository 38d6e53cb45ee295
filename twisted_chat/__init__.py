r"""A chat server for Twisted.

Lines come in through a door, the rules decide, lines go out to the rooms::

    interfaces, chat, histogram  <-  wire, worker, notify, link, discovery
                                 <-  state, accounts, cluster  <-  assembly  <-  doors, node
                                 <-  estate  <-  service, values  <-  config, commandline
                                 <-  settings, handover, preflight  <-  reload, heir
                                 <-  tap, logs

``chat``      the rules: rooms, people, sessions, commands.  Pure Python.
``histogram`` how long things take.
``wire``      bytes: the telnet scanner, events as text, fan-out, bounded output.
``worker``    threads that wait in the reactor's place.
``notify``    tells systemd how it is.
``link``      the connection to Redis.
``discovery`` finds the plugins that are installed, in ``plugins``.
``state``     what outlives the moment.
``accounts``  who people are, and how they prove it.
``cluster``   the one order of events, on one node or on many.
``assembly``  puts these together, and is the only one that knows them all.
``doors``     the ways in: each file there gives the chat `IClient`\ s.
``node``      a node of a cluster, begun and ended in order.
``estate``    all that one process leaves to the next.
``service``   ports, and a stop in order.
``values``    what each option takes.
``config``    the file of options; ``commandline``, the other way to say them.
``settings``  the options; ``preflight``, what would fail at the start.
``reload``    what a chat that runs obeys anew.
``handover``  hot restart: what the two processes tell each other.
``heir``      the process that goes on; ``watch`` is what the first one becomes.
``tap``       the process: signals, exit codes; ``logs`` is what it logs as JSON.

Commands decide, events change: a command proposes an event to the backplane, which numbers it
and has `Rooms.apply` carry it out, on every node alike.
"""

from twisted_chat.chat.answers import Notice
from twisted_chat.chat.charter import Rank
from twisted_chat.chat.commands import Command, command
from twisted_chat.chat.events import ChatError, Ending
from twisted_chat.chat.limits import Limits
from twisted_chat.chat.plugins import ChatPlugin
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.chat.session import Session
from twisted_chat.doors.tcp import ChatFactory
from twisted_chat.service import ChatService
from twisted_chat.wire.jsonlines import JSON
from twisted_chat.wire.text import PLAIN

__all__ = [
    "JSON",
    "PLAIN",
    "ChatError",
    "ChatFactory",
    "ChatPlugin",
    "ChatService",
    "Command",
    "Ending",
    "Limits",
    "Notice",
    "Rank",
    "Session",
    "command",
    "sanitize",
]
