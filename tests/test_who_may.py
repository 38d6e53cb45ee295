"""Who may do what to whom: a table of it, each cell of which is a test, on one node and on two."""

from collections.abc import Callable, Iterator

import pytest
from town import PASSWORD, STEPWISE, Guest, Town

KINDS = ("local", "two nodes")
ACTORS = {"guest": "gus", "member": "mia", "operator": "opal", "owner": "olga", "server": "root"}
"""Who does something."""
OTHERS = {"guest": "gil", "member": "max", "operator": "otto", "owner": "olga", "server": "boss"}
"""To whom it is done, if not to oneself."""
HEIR = "opal"
"""The operator who has been one for longest: who follows the owner."""
GUESTS = ("gus", "gil", "vic")
NEAR, FAR = "203.0.113.7", "198.51.100.4"
"""Whence the guests come, and some of those who have accounts."""
ADDRESSES = {"gus": FAR, "gil": NEAR, "max": NEAR, "otto": NEAR, "boss": NEAR, "vic": "192.0.2.9"}
REFUSALS = {
    "room": "only operators of this room may do that",
    "all": "only operators of the server may do that",
    "op": "{target} is an operator of tea",
    "owner": "{target} is the owner of tea",
    "serv": "{target} is an operator of the server",
    "self": "you cannot do that to yourself",
    "guest": "{target} has no account. /register keeps a name",
    "runs": "{target} runs tea already",
    "none": "{target} does not run tea",
    "login": "you are not logged in. usage: /login NAME [PASSWORD]",
    "asks": "/passwd takes nothing more: it asks. usage: /passwd",
}
"""What is answered where the table says so; ``yes`` is what is allowed, ``.`` what cannot be."""

# Who does it stands at the left, to whom it is done at the top.
TO_SOMEONE = {
    "/kick": """
                  guest   member  operator  owner   server  oneself
        guest     room    room    room      room    room    room
        member    room    room    room      room    room    room
        operator  yes     yes     op        owner   serv    self
        owner     yes     yes     yes       .       serv    self
        server    yes     yes     yes       yes     serv    self
    """,
    "/mute": """
                  guest   member  operator  owner   server  oneself
        guest     room    room    room      room    room    room
        member    room    room    room      room    room    room
        operator  yes     yes     op        owner   serv    self
        owner     yes     yes     yes       .       serv    self
        server    yes     yes     yes       yes     serv    self
    """,
    "/ban": """
                  guest   member  operator  owner   server  oneself
        guest     room    room    room      room    room    room
        member    room    room    room      room    room    room
        operator  yes     yes     op        owner   serv    self
        owner     yes     yes     yes       .       serv    self
        server    yes     yes     yes       yes     serv    self
    """,
    "/ban *": """
                  guest   member  operator  owner   server  oneself
        guest     room    room    room      room    room    room
        member    room    room    room      room    room    room
        operator  all     all     all       all     all     all
        owner     all     all     all       .       all     all
        server    yes     yes     yes       yes     serv    self
    """,
    "/deop": """
                  guest   member  operator  owner   server  oneself
        guest     room    room    room      room    room    room
        member    room    room    room      room    room    room
        operator  guest   none    op        owner   none    yes
        owner     guest   none    yes       .       none    yes
        server    guest   none    yes       yes     none    none
    """,
    # These two take nothing from anybody: they may be done to who is no less.
    "/op": """
                  guest   member  operator  owner   server  oneself
        guest     room    room    room      room    room    room
        member    room    room    room      room    room    room
        operator  guest   yes     runs      runs    yes     runs
        owner     guest   yes     runs      .       yes     runs
        server    guest   yes     runs      runs    yes     yes
    """,
    "/invite": """
                  guest   member  operator  owner   server  oneself
        guest     room    room    room      room    room    room
        member    room    room    room      room    room    room
        operator  yes     yes     yes       yes     yes     yes
        owner     yes     yes     yes       .       yes     yes
        server    yes     yes     yes       yes     yes     yes
    """,
}
AS_IT_WAS = "as it was"
AFTERWARDS = {
    #          in the room  heard there  what they are there       may come back
    "/kick": (False, False, AS_IT_WAS, True),
    "/mute": (True, False, "", True),
    "/ban": (False, False, "", False),
    "/ban *": (False, False, AS_IT_WAS, False),
    "/deop": (True, True, "", True),
    "/op": (True, True, "operator", True),
    "/invite": (True, True, AS_IT_WAS, True),
}
"""What holds for whom it was done to, once it was."""
WORDS = {
    "/kick": "kicked {target}",
    "/mute": "muted {target}",
    "/ban": "banned {target}",
    "/ban *": "banned {target}",
    "/deop": "took the room out of the hands of {target}",
    "/op": "made {target} an operator of the room",
    "/invite": "invited {target}",
}
AT_LARGE = """
                     guest   member  operator  owner   server
    /lock            room    room    yes       yes     yes
    /unlock          room    room    yes       yes     yes
    /key x           room    room    yes       yes     yes
    /key off         room    room    yes       yes     yes
    /slow 5          room    room    yes       yes     yes
    /unban vic       room    room    yes       yes     yes
    /unmute vic      room    room    yes       yes     yes
    /bans            room    room    yes       yes     yes
    /unban * vic     room    room    all       all     yes
    /bans *          room    room    all       all     yes
    /wall hello      all     all     all       all     yes
    /lockdown        all     all     all       all     yes
    /lockdown off    all     all     all       all     yes
    /audit           all     all     all       all     yes
    /passwd max      login   asks    asks      asks    yes
    /topic leaves    yes     yes     yes       yes     yes
"""
BEFORE = {
    "/invite": ("olga", "/lock"),
    "/unlock": ("olga", "/lock"),
    "/key off": ("olga", "/key x"),
    "/unban vic": ("olga", "/ban vic"),
    "/unmute vic": ("olga", "/mute vic"),
    "/bans": ("olga", "/mute vic"),
    "/unban * vic": ("root", "/ban * vic"),
    "/bans *": ("root", "/ban * vic"),
    "/lockdown off": ("root", "/lockdown"),
    "/audit": ("olga", "/mute vic"),
}
"""Who has done what before, so that there is something to do."""
ANSWERS = {
    "/lock": "> {actor} locked the room",
    "/unlock": "> {actor} unlocked the room",
    "/key x": "> {actor} put a key on the room",
    "/key off": "> {actor} took the key off the room",
    "/slow 5": "> {actor} set slow mode: one line in 5 seconds",
    "/unban vic": "> {actor} unbanned vic",
    "/unmute vic": "> {actor} unmuted vic",
    "/bans": "> vic{whence} is muted, by olga",
    "/unban * vic": "> {actor} unbanned vic",
    "/bans *": "> vic (192.0.2.9/32) is banned, by root",
    "/wall hello": "> announcement by {actor}: hello",
    "/lockdown": "> {actor} locked down the server",
    "/lockdown off": "> {actor} ended the lockdown",
    "/audit": "> [2023-11-14 22:13] olga muted vic, in tea",
    "/passwd max": "> type the new password of max. telnet does not show it, other programs may",
    "/topic leaves": "> {actor} set the topic: leaves",
}
"""What is answered to what is allowed."""


class Stage:
    """A room with two of each kind of people in it, but for its one owner."""

    def __init__(self, kind: str, *more: str) -> None:
        """
        :param more: who else is there, as guests.
        """
        self.town = Town(kind)
        self.people: dict[str, Guest] = {}
        for name in ("olga", "opal", "otto", "mia", "max", "root", "boss"):
            self.people[name] = self.town.registers(name, "tea", self.address(name))
        for name in ("gus", "gil", *more):
            self.people[name] = self.town.enters(name, "tea", self.address(name))
        self.people["olga"].types("/op opal", "/op otto")

    def prepare(self, act: str) -> None:
        """Have done what the act needs."""
        if act in BEFORE:
            name, line = BEFORE[act]
            self.people[name].types(line)
        self.read()

    def address(self, name: str) -> str:
        return ADDRESSES.get(name, "")

    def read(self) -> dict[str, list[str]]:
        """Read what everyone was shown."""
        return {name: guest.reads() for name, guest in self.people.items()}

    def state(self) -> object:
        """Give all that acts may change, which is the same on every node."""
        nodes = [
            (
                {person.who: person.room and person.room.id for person in node.people.values()},
                {person.who: person.barred for person in node.people.values()},
                {room.id: (room.topic, room.charter) for room in node.rooms.values()},
                node.rights.everywhere.charter,
            )
            for node in self.town.nodes
        ]
        assert nodes.count(nodes[0]) == len(nodes)
        store = self.town.nodes[0].store
        return nodes[0], self.town.settles(store.deeds(1)), self.password("max")

    def password(self, name: str) -> str:
        """Give which of two is the password of someone."""
        gate = self.town.nodes[0].accounts
        record = self.town.settles(gate._store.account((name,)))
        known = (PASSWORD, "battery staple")
        return next(one for one in known if self.town.settles(gate._hasher.verify(record[2], one)))

    def role(self, name: str) -> str:
        """Tell what someone is laid down to be in the room."""
        roles = set()
        for node in self.town.nodes:
            charter = node.room("tea").charter
            if charter.owner == f"@{name}":
                roles.add("owner")
            else:
                roles.add("operator" if f"@{name}" in charter.operators else "")
        (role,) = roles
        return role

    def members(self) -> set[str]:
        """Tell who is in the room."""
        views = [
            frozenset(person.name.text for person in node.room("tea").members.values())
            for node in self.town.nodes
        ]
        (members,) = set(views)
        return set(members)

    def is_heard(self, name: str) -> bool:
        """Tell whether what someone says is shown to the others in the room."""
        self.read()
        self.people[name].types("hello")
        shown = self.read()
        others = self.members() - {name}
        assert len(others) > 1
        (heard,) = {f"> {name}: hello" in shown[other] for other in others}
        return heard

    def comes_back(self, name: str) -> bool:
        """Have someone leave, or come anew if they were sent away; tell whether they get in."""
        guest = self.people[name]
        if guest.client.closed is None:
            guest.types("/leave")
        else:
            guest = self.people[name] = self.town.arrives(address=self.address(name))
            login = f"/login {name} {PASSWORD}"
            if name not in GUESTS and guest.asks(login)[0].startswith("err: "):
                return False
        guest.reads()
        return guest.asks("/join tea")[0] == "> welcome to tea"

    def is_admitted(self) -> bool:
        """Tell whether someone new gets in, who comes later."""
        self.town.clock.advance(1)
        newcomers = [self.town.arrives() for _ in self.town.nodes]
        (admitted,) = {"> welcome to tea" in one.asks("/join tea") for one in newcomers}
        return admitted


def cells(table: str) -> Iterator[tuple[str, str, str]]:
    """Give what stands at the left of each cell, at its top, and in it."""
    header, *rows = table.strip().splitlines()
    columns = header.split()
    for row in rows:
        left, _, rest = row.strip().partition("  ")
        for column, cell in zip(columns, rest.split(), strict=True):
            if cell != ".":
                yield left, column, cell


SOMEONE_CELLS = [
    pytest.param(act, actor, target, cell, id=f"{actor} {act} {target}")
    for act, table in TO_SOMEONE.items()
    for actor, target, cell in cells(table)
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("act", "actor", "target", "cell"), SOMEONE_CELLS)
def test_what_one_may_do_to_someone(kind, act, actor, target, cell):
    """It is allowed and happens, on all nodes, to nobody else; or is refused, and nothing does."""
    stage = Stage(kind)
    stage.prepare(act)
    who = ACTORS[actor]
    whom = who if target == "oneself" else OTHERS[target]
    role, members, state = stage.role(whom), stage.members(), stage.state()
    answers = stage.people[who].asks(f"{act} {whom}")
    if cell != "yes":
        why = REFUSALS[cell].format(target=whom)
        usage = ". usage: /leave" if (act, cell) == ("/kick", "self") else ""
        assert answers == [f"err: {why}{usage}"]
        assert stage.state() == state
        assert stage.is_heard(whom)
        return
    words = "gave up running the room" if who == whom and act == "/deop" else WORDS[act]
    assert answers[0] == f"> {who} {words.format(target=whom)}"
    is_in, is_heard, is_now, may_return = AFTERWARDS[act]
    assert stage.members() == (members if is_in else members - {whom})
    assert stage.role(whom) == (role if is_now == AS_IT_WAS else is_now)
    if role == "owner" and not is_now:
        assert stage.role(HEIR) == "owner"
    if is_in:
        assert stage.is_heard(whom) == is_heard
    assert stage.comes_back(whom) == may_return
    assert stage.members() == (members if may_return else members - {whom})
    assert all(stage.is_heard(other) for other in members - {whom})


def second_line_waits(stage: Stage) -> bool:
    stage.people["gus"].types("one")
    return not stage.is_heard("gus")


HAPPENED: dict[str, Callable[[Stage], bool]] = {
    "/lock": lambda stage: not stage.is_admitted(),
    "/unlock": Stage.is_admitted,
    "/key x": lambda stage: not stage.is_admitted(),
    "/key off": Stage.is_admitted,
    "/slow 5": second_line_waits,
    "/unban vic": lambda stage: stage.comes_back("vic"),
    "/unmute vic": lambda stage: stage.is_heard("vic"),
    "/unban * vic": lambda stage: stage.comes_back("vic"),
    "/lockdown": lambda stage: not stage.is_admitted(),
    "/lockdown off": Stage.is_admitted,
    "/topic leaves": lambda stage: (
        {node.room("tea").topic for node in stage.town.nodes} == {"leaves"}
    ),
    "/passwd max": lambda stage: stage.password("max") == "battery staple",
}
"""Tells whether it did, by what follows from it."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("act", "actor", "cell"),
    [pytest.param(*cell, id=f"{cell[1]} {cell[0]}") for cell in cells(AT_LARGE)],
)
def test_what_one_may_do_to_a_room_and_to_the_server(kind, act, actor, cell):
    """It is allowed and happens, on all nodes; or it is refused, and nothing happens."""
    stage = Stage(kind, "vic")
    stage.prepare(act)
    who, state = ACTORS[actor], stage.state()
    stage.people[who].types(act)
    shown = stage.read()
    if cell != "yes":
        assert shown.pop(who) == [f"err: {REFUSALS[cell]}"]
        assert not any(shown.values())
        assert stage.state() == state
        assert act not in HAPPENED or not HAPPENED[act](stage)
        return
    whence = " (192.0.2.9/32)" if actor == "server" else ""  # which is shown to nobody else
    answer = ANSWERS[act].format(actor=who, whence=whence)
    assert shown[who][-1] == answer
    if act == "/wall hello":
        assert all(lines == [answer] for lines in shown.values())
    if act == "/passwd max":
        stage.people[who].types("battery staple")
    if act in HAPPENED:
        assert HAPPENED[act](stage)
    else:
        assert act == "/wall hello" or stage.state() == state


# Where they are, and where not

SPARED = {"operator": REFUSALS["op"], "owner": REFUSALS["owner"], "server": REFUSALS["serv"]}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", SPARED)
@pytest.mark.parametrize("act", ["/mute", "/ban", "/deop"])
def test_who_is_not_here_is_as_safe(kind, act, target):
    """Nothing is done to them behind their backs."""
    stage = Stage(kind)
    name, opal = OTHERS[target], stage.people["opal"]
    stage.people[name].types("/quit")
    stage.read()
    state = stage.state()
    no_role = (act, target) == ("/deop", "server")
    why = "boss does not run tea" if no_role else SPARED[target].format(target=name)
    assert opal.asks(f"{act} {name}") == [f"err: {why}"]
    assert opal.asks(f"{act} @{name}") == [f"err: {why}"]
    assert stage.state() == state
    assert stage.comes_back(name)
    assert stage.is_heard(name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", SPARED)
@pytest.mark.parametrize("act", ["/kick", "/mute", "/ban"])
def test_who_goes_by_the_name_of_someone_away_is_but_a_guest(kind, act, target):
    """It is done to them, and does nothing to whose name it is."""
    stage = Stage(kind, "vic")
    name = OTHERS[target]
    role, vic = stage.role(name), stage.people.pop("vic")
    stage.people[name].types("/quit")
    vic.types(f"/nick {name}")
    stage.read()
    words = WORDS[act].format(target=name)
    assert stage.people["opal"].asks(f"{act} {name}")[0] == f"> opal {words}"
    vic.types("/quit")
    assert stage.role(name) == role
    assert stage.comes_back(name)
    assert stage.is_heard(name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("act", ["/kick gus", "/ban gus", "/op mia", "/lock", "/slow 5", "/bans"])
def test_a_role_is_one_in_that_room_alone(kind, act):
    """Whoever owns a room, or runs it, is a mere member of another; the server's are not."""
    stage = Stage(kind)
    mia = stage.people["mia"]
    mia.types("/join coffee")
    for name in ("gus", "olga", "opal", "root"):
        stage.people[name].types("/join coffee")
    stage.read()
    state = stage.state()
    for name in ("olga", "opal"):
        assert stage.people[name].asks(act) == [f"err: {REFUSALS['room']}"]
    assert stage.state() == state
    assert not stage.people["root"].asks(act)[0].startswith("err: only")
    assert not mia.asks("/lock")[-1].startswith("err: only")


@pytest.mark.parametrize("kind", STEPWISE)
@pytest.mark.parametrize("act", ["/kick gus", "/ban gus", "/mute gus", "/op mia", "/lock"])
def test_who_has_lost_a_role_just_now_may_do_nothing(kind, act):
    """What counts is who they are when it happens, and not when it was typed."""
    stage = Stage(kind)
    stage.read()
    olga, opal = stage.people["olga"], stage.people["opal"]
    olga.session.receive("/deop opal")
    opal.session.receive(act)
    lost = "> olga took the room out of the hands of opal"
    assert opal.reads() == [lost, "err: only operators of tea may do that"]
    assert stage.is_heard("gus")
    assert (stage.role("opal"), stage.role("mia")) == ("", "")
    assert stage.is_admitted()
