"""The chat as a Twisted service."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService, MultiService
from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from twisted_chat import estate as estates
from twisted_chat.accounts.enrolment import Enrolment
from twisted_chat.assembly import assemble
from twisted_chat.chat import record
from twisted_chat.chat.limits import Limits
from twisted_chat.doors.json import JsonProtocol
from twisted_chat.doors.listener import Listener
from twisted_chat.doors.proxy import Network
from twisted_chat.doors.tcp import ChatFactory, Door
from twisted_chat.estate import Estate
from twisted_chat.histogram import Histogram
from twisted_chat.interfaces import IBackplane, IChatPlugin, IStore
from twisted_chat.node import Node
from twisted_chat.wire.turn import end_of_turn

if TYPE_CHECKING:
    from twisted_chat.doors.http import QuietSite
    from twisted_chat.doors.sshserver import SshFactory

TICK_SECONDS = 1.0
CERTIFICATE_SECONDS = 60.0
COMMAND_SECONDS = 1.0
"""In which commands have to be done before the chat moves to another process."""
HOST_KEY = "tcpchat_host_key"
"""The file with the key of the server for SSH, unless another is named."""
FAREWELL = "the server is going down. goodbye"


def _new_code() -> str:
    return token_hex(8)


class ChatService(MultiService):
    """A chat on some ports: ``ChatService(reactor, ["tcp:8888"]).setServiceParent(application)``.

    It handles no signal and ends no process; what it knows is in memory, unless a store is
    given, which it opens when it starts.  Once stopped it stays so: what it knew of people has
    gone with them.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        ports: Iterable[str] = (),
        limits: Limits | None = None,
        store: IStore | None = None,
        backplane: IBackplane | None = None,
        *,
        json: Iterable[str] = (),
        web: Iterable[str] = (),
        web_origins: Iterable[str] = (),
        ssh: Iterable[str] = (),
        ssh_host_key: Path | str = HOST_KEY,
        metrics: Iterable[str] = (),
        proxies: Sequence[Network] = (),
        node: Node | None = None,
        checkers: Sequence[ICredentialsChecker] = (),
        operators: Sequence[str] = (),
        plugins: Sequence[IChatPlugin] = (),
        code: Callable[[], str] = _new_code,
    ) -> None:
        """
        :param ports: Twisted server endpoint strings, such as ``tcp:8888``.
        :param store: what keeps history; memory, if left out.
        :param backplane: the order of events; that of a single node, if left out.
        :param json: server endpoint strings, too; programs come in there, and speak JSON.
        :param web: server endpoint strings, too; browsers find a page there.
        :param web_origins: of other sites whose pages may come: ``https://example.org``.
        :param ssh: server endpoint strings, too; SSH reaches the chat there.
        :param ssh_host_key: file with the key of this server; it is made if there is none.
        :param metrics: server endpoint strings, too; monitors ask there, and nobody else should.
        :param proxies: where those come from who tell who is behind them, by a PROXY header.
        :param node: of a cluster, which brings both.
        :param checkers: of accounts that people have elsewhere; with any, none are made here.
        :param operators: the names of the accounts of those who run the server.
        :param plugins: what else people can type, and who else decides; asked in this order.
        :param code: makes what nobody can guess, with which an operator registers.
        :raises ValueError: a checker checks no passwords, or a plugin cannot be used.
        :raises ChatError: an operator has a name that nobody can have.
        """
        super().__init__()
        self._reactor = reactor
        self._turn = end_of_turn(reactor)
        self._is_released = False
        self._stopping: Deferred[None] | None = None
        self._estate: Estate | None = None
        self._node = node
        self.restarts = 0
        """How often the code of the chat was replaced while it ran."""
        self.reactor_delay = Histogram()
        """How many seconds the reactor was late; measured with a port for metrics."""
        self.rooms = assemble(
            reactor,
            limits,
            store=node.store if node else store,
            backplane=node.backplane if node else backplane,
            turn=self._turn,
            quota=node.quota if node else None,
            checkers=checkers,
            operators=operators,
            plugins=plugins,
        )
        # with checkers, accounts are made elsewhere
        self._enrolment = None if checkers else Enrolment(self.rooms, code)
        self.factory = ChatFactory(reactor, self.rooms)
        self._ticking = LoopingCall(self.rooms.tick)
        self._ticking.clock = reactor
        self._watching = LoopingCall(self._watch_certificates)
        self._watching.clock = reactor
        doors: list[tuple[str, Any, Iterable[str]]] = [
            ("port", self.factory, ports),
            ("json", Door(self.factory, JsonProtocol), json),
        ]
        self._sites: list[QuietSite] = []
        if web := list(web):
            from twisted_chat.doors.web import Web  # noqa: PLC0415  # it is an extra

            page = Web(self.factory, web_origins)
            self._sites.append(page)
            doors.append(("web", page, web))
        self.ssh: SshFactory | None = None
        if ssh := list(ssh):
            from twisted_chat.doors import sshserver  # noqa: PLC0415  # likewise

            self.ssh = sshserver.SshFactory(self.factory, Path(ssh_host_key))
            doors.append(("ssh", self.ssh, ssh))
        self.listeners: list[Listener] = [
            Listener(reactor, description, factory, proxies, door)
            for door, factory, descriptions in doors
            for description in descriptions
        ]
        self._monitors = self._monitored_at(metrics)
        self.listeners += self._monitors
        for listener in self.listeners:
            listener.setServiceParent(self)

    def _monitored_at(self, ports: Iterable[str]) -> list[Listener]:
        """Make the ports for metrics, and begin to measure what only they tell."""
        if not (ports := list(ports)):
            return []
        from twisted_chat.doors.monitor import Monitor, Pulse  # noqa: PLC0415  # it is an extra

        Pulse(self._reactor, self.reactor_delay).setServiceParent(self)
        monitor: Any = Monitor(self, self._reactor)
        self._sites.append(monitor)
        return [Listener(self._reactor, one, monitor, door="metrics") for one in ports]

    @property
    def trouble(self) -> str:
        """Why nobody should be sent here now, in a few words; empty if people may come."""
        if not self.running:
            return "the chat is not running"
        return self.rooms.backplane.trouble or self.rooms.store.trouble

    def privilegedStartService(self) -> None:
        self._refuse_restart()
        super().privilegedStartService()

    def startService(self) -> None:
        self._refuse_restart()
        self._prepare_doors()
        self._restore()
        self._ticking.start(TICK_SECONDS, now=False)
        self._watching.start(CERTIFICATE_SECONDS, now=False)
        super().startService()
        for listener in self.listeners:
            self.log.info("listening on {port}", port=listener.description)
        if not self._node:
            self._enrol_all()

    def _enrol_all(self) -> None:
        if self._enrolment:
            self._enrolment.tell_all()

    def _prepare_doors(self) -> None:
        """Read what doors need besides their ports, as the user as whom the chat runs.

        :raises ValueError: it cannot be used.
        :raises OSError: it cannot be read.
        """
        if self.ssh:
            self.ssh.prepare()
            self.log.info("the key for SSH is {fingerprint}", fingerprint=self.ssh.fingerprint)

    def _watch_certificates(self) -> None:
        for listener in self.listeners:
            listener.watch_certificate()

    def _restore(self) -> None:
        left = self._estate.record if self._estate else None
        kept = self.rooms.store.open(left and left["kept"])
        if self._node:
            self._node.start(self.rooms, left and left["node"], self._enrol_all)
        elif left:
            record.from_record(self.rooms, left["chat"], kept)
        else:
            self.rooms.restore(kept)

    # Going on in another process

    def inherit(self, estate: Estate) -> None:
        """Begin with what another process has left; to be called before the start."""
        self._estate = estate
        self.restarts = estates.restarts(estate)
        left = estates.ports(estate)
        for listener in self.listeners:
            for port in left:
                if port[0] == listener.description:
                    listener.inherit(*port[1:])
                    left.remove(port)
                    break

    def move_in(self) -> None:
        """Go on with the connections that another process has left, once it is out of the way."""
        if self._estate is None:
            return
        estates.move_in(self._estate, self._reactor, self.factory)
        self.log.info(
            "went on with {connections} connections, {pause:.0f} ms after they had stopped",
            connections=len(self.factory.protocols),
            pause=(self._reactor.seconds() - self._estate.record["since"]) * 1000,
        )
        self._estate = None

    async def freeze(self) -> Estate:
        """Stop everything where it is, and give all of it away.

        :raises OSError: what was said cannot be kept now, or a command takes too long.
        """
        since = self._reactor.seconds()
        for listener in self.listeners:
            listener.freeze()
        self.factory.freeze()
        await self._commands_are_done()
        node = await self._node.freeze(self.rooms) if self._node else None
        kept = await self.rooms.store.release()
        self._is_released = True
        for session in self.rooms.sessions.values():
            self.rooms.delivery.settle(session.person)
        open_ports = [(one.description, one.port) for one in self.listeners if one.port]
        return estates.gather(
            *(self.rooms, since, kept, open_ports, self.factory.movable()),
            node=node,
            restarts=self.restarts + 1,
        )

    def thaw(self) -> None:
        """Go on where `freeze` has stopped."""
        if self._node:
            self._node.thaw()
        try:
            if self._is_released:
                self._is_released = False
                self.rooms.store.regain()
        finally:  # without a store it goes on as with a disk that fails
            self.factory.thaw()
            for listener in self.listeners:
                listener.thaw()

    async def _commands_are_done(self) -> None:
        """Wait until no command is under way."""
        end = self._reactor.seconds() + COMMAND_SECONDS
        while self.factory.is_busy():
            if self._reactor.seconds() > end:
                raise TimeoutError("a command took too long")
            await deferLater(self._reactor, 0.005)

    def obey(self, limits: Limits) -> None:
        """Keep to other limits from now on, with those who are here as well."""
        self.factory.obey(limits)

    def appoint(self, operators: Sequence[str]) -> None:
        """Have these run the server from now on, and nobody else.

        :param operators: the names of their accounts.
        :raises ChatError: one of these can be nobody's name; nothing has changed.
        """
        new = self.rooms.operators.appoint(operators)
        if self._enrolment:
            self._enrolment.tell(new)
        self.rooms.empower()

    def _refuse_restart(self) -> None:
        if self._stopping:
            raise RuntimeError("a chat that was stopped stays stopped. make a new one")

    async def _stop(self) -> None:
        """Stop in order: let nobody in, tell everyone, let out what waits, for so long."""
        await _stopped([one for one in self if one not in self._monitors])
        self.rooms.close(FAREWELL)
        gone = self.factory.all_gone()
        hurry = self._reactor.callLater(self.rooms.limits.drain, self.factory.abort)
        await gone
        if hurry.active():
            hurry.cancel()
        if self.ssh:
            self.ssh.abort()
        await (self._node.stop() if self._node else self.rooms.store.close())
        await _stopped(self._monitors)
        for site in self._sites:
            site.abort()
        self._turn.close()

    def stopService(self) -> "Deferred[None]":
        self.running = 0
        if self._stopping is None:
            for calling in (self._ticking, self._watching):
                if calling.running:
                    calling.stop()
            self._stopping = Deferred.fromCoroutine(self._stop())
        stopped: Deferred[None] = Deferred()
        self._stopping.chainDeferred(stopped)
        return stopped


def _stopped(services: Iterable[IService]) -> "Deferred[list[Any]]":
    """Stop services; tell when all of them are."""
    return gatherResults([maybeDeferred(one.stopService) for one in services])
