"""Commands about the server, and the way out."""

from typing import TYPE_CHECKING

from twisted_chat.chat import limits as bounds
from twisted_chat.chat.answers import Notice
from twisted_chat.chat.commands.command import command
from twisted_chat.chat.duration import in_words
from twisted_chat.chat.events import ChatError, Ending

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session


@command(
    "help",
    usage="/help [COMMAND]",
    help="list the commands, or tell more of one",
    takes=1,
    barred=True,
)
def help(session: "Session", word: str = "") -> None:  # noqa: A001
    commands = session.rooms.commands
    if not word:
        for found in dict.fromkeys(commands.values()):
            if found.serves(session):
                session.show(Notice(f"{found.usage} - {found.help}"))
        return
    wanted = commands.get(word.removeprefix("/").lower())
    if wanted is None:
        raise ChatError(f"unknown command: {word}. /help lists them")
    session.show(Notice(f"{wanted.usage} - {wanted.help}"))
    if wanted.aliases:
        session.show(Notice("also called " + ", ".join(f"/{alias}" for alias in wanted.aliases)))


@command("motd", usage="/motd", help="show the message of the day", barred=True)
def motd(session: "Session") -> None:
    session.show(*session.motd() or [Notice("there is no message of the day")])


@command("limits", usage="/limits", help="tell what is allowed, and how much of it", barred=True)
def limits(session: "Session") -> None:
    set_ = session.rooms.limits
    session.show(
        Notice(f"a line holds {set_.max_line} bytes"),
        Notice(_flood_words(set_.flood)),
        Notice(
            f"a nick holds {bounds.NICK_LENGTH} characters, "
            f"a room name {bounds.ROOM_NAME_LENGTH}, a topic {bounds.TOPIC_LENGTH}, "
            f"an away text and a reason {bounds.AWAY_LENGTH}"
        ),
        Notice(
            f"you can ignore {bounds.IGNORED_PEOPLE} people, and own {bounds.ROOMS_OWNED} rooms; "
            f"{bounds.LETTERS} private lines wait for whoever has an account and is not here"
        ),
        Notice(
            f"a password has {bounds.PASSWORD_BYTES_LEAST} to {bounds.PASSWORD_BYTES} bytes; "
            f"{bounds.HASHES_AT_ONCE} are checked at once, and {bounds.HASHES_WAITING} wait; "
            f"{bounds.ACCOUNTS_A_DAY} accounts a day can be made from one address"
        ),
        Notice(
            f"a room holds {bounds.SANCTIONS} bans and mutes, {bounds.ROLES} operators, "
            f"and as many who are invited"
        ),
        Notice(
            f"{set_.sendq} bytes may wait for you, {bounds.WAITING_OUTPUT} for all together; "
            "who reads more slowly is cut"
        ),
        Notice(f"{_or_any(set_.max_connections)} connections at a time"),
        Notice(
            f"{_or_any(set_.max_per_address)} connections from one address at a time, "
            "and as many new ones a minute"
        ),
        Notice(f"you may be silent {_silence_words(set_.idle_timeout)}"),
        Notice(f"if the connection of an account breaks, {_grace_words(set_.grace)}"),
        *map(Notice, session.rooms.store.condition()),
    )


def _flood_words(flood: tuple[float, int] | None) -> str:
    if flood is None:
        return "you may send lines as fast as you can"
    rate, burst = flood
    return (
        f"you may send {rate:g} lines a second, {burst} at once; /join and /nick count as three. "
        "faster lines wait their turn, none is lost"
    )


def _silence_words(seconds: float) -> str:
    return f"for {in_words(seconds)}" if seconds else "as long as you like"


def _grace_words(seconds: float) -> str:
    return f"its place is kept for {in_words(seconds)}" if seconds else "it has left"


def _or_any(limit: int) -> str:
    return str(limit) if limit else "any number of"


@command("uptime", usage="/uptime", help="tell how long the server has been up", barred=True)
def uptime(session: "Session") -> None:
    rooms = session.rooms
    session.show(Notice(f"up for {in_words(rooms.clock() - rooms.started)}"))


@command("version", usage="/version", help="tell what this server is", barred=True)
def version(session: "Session") -> None:
    session.show(Notice(f"twisted-chat {session.rooms.version}"))


@command(
    "quit",
    "exit",
    usage="/quit [REASON]",
    help="leave the chat",
    takes=1,
    barred=True,
)
def quit(session: "Session", reason: str = "") -> None:  # noqa: A001
    if len(reason) > bounds.REASON_LENGTH:
        raise ChatError(f"a reason holds at most {bounds.REASON_LENGTH} characters")
    hooks = session.rooms.hooks
    if hooks and session.person.room:
        reason = hooks.on_leave(session, reason)
    session.leave(Notice("sad to see you go =("), reason, Ending.QUIT)
