"""What people see: the commands and the rules, over every backplane."""

import pytest
from town import KINDS, Guest, Town

from twisted_chat.chat import kept
from twisted_chat.chat.limits import DORMANT_SECONDS, Limits

WELCOME = (
    "> welcome. you are {}. /nick NAME takes a name, /join ROOM enters a room, /help tells the rest"
)


@pytest.fixture
def ann(town: Town) -> Guest:
    return town.enters("ann")


@pytest.fixture
def bob(town: Town, ann: Guest) -> Guest:
    bob = town.enters("bob")
    ann.reads()
    bob.reads()
    return bob


# A conversation


def test_the_conversation_of_the_manual(town):
    """Word for word what the manual shows, with everything in one sitting."""
    bob = town.arrives()
    assert bob.reads() == [WELCOME.format("anonymous")]
    assert bob.asks("hello") == ["err: you are in no room. usage: /join ROOM_NAME"]
    assert bob.asks("/nick bob") == ["> all right, I will call you bob"]
    assert bob.asks("/rooms") == ["> available rooms: none. /join NAME makes one"]
    ann = town.enters("ann")
    lobby = town.enters("lou", "lobby")
    assert bob.asks("/rooms") == ["> available rooms: lobby, tea"]
    ann.types("earlier", "/topic leaves")
    stamp = "2023-11-14 22:13"
    assert bob.asks("/join tea") == [
        "> welcome to tea",
        "> topic: leaves",
        f"> [{stamp}] ann: earlier",
        "> here: ann, bob",
    ]
    ann.types("hello bob", "/me waves", "/tell bob hi")
    assert bob.reads() == ["> ann: hello bob", "> * ann waves", "> [ann -> you] hi"]
    assert bob.asks("/reply yes") == ["> [you -> ann] yes"]
    assert bob.asks("/time on") == ["> times are shown in UTC"]
    ann.types("from now on")
    assert bob.reads() == ["> [22:13] ann: from now on"]
    assert bob.asks("/time off") == ["> times are not shown"]
    cyd = town.enters("cyd")
    cyd.types("/leave")
    assert bob.reads() == ["> cyd joined the room", "> cyd has left the room"]
    ann.types("/nick anna")
    assert bob.reads() == ["> ann is now known as anna"]
    assert bob.asks("/join tea") == ["> you are in tea already"]
    assert bob.asks("/leave") == ["> you have left tea"]
    assert bob.asks("/foo") == ["err: unknown command: /foo. /help lists them"]
    assert bob.asks("/quit") == ["> sad to see you go =("]
    assert bob.client.closed is not None
    assert lobby.client.closed is None


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("/nick", "nick is required. usage: /nick NAME"),
        ("/join", "room name is required. usage: /join ROOM_NAME"),
        ("/msg", "message is required. usage: /msg MSG"),
        ("/me", "text is required. usage: /me TEXT"),
        ("/tell", "name is required. usage: /tell NAME TEXT"),
        ("/tell bob", "text is required. usage: /tell NAME TEXT"),
        ("/reply", "text is required. usage: /reply TEXT"),
        ("/reply yes", "nobody has told you anything yet. usage: /tell NAME TEXT"),
        ("/whois", "name is required. usage: /whois NAME"),
        ("/whois zed", "there is nobody called zed"),
        ("/tell zed hi", "there is nobody called zed"),
        ("/unignore", "name is required. usage: /unignore NAME"),
        ("/unignore zed", "you do not ignore zed. /ignore lists whom you do"),
        ("/ignore zed", "there is nobody called zed"),
        ("/ignore ann", "you cannot ignore yourself"),
        ("/who zed", "there is no room called zed. /rooms lists them"),
        ("/leave now", "/leave takes nothing more. usage: /leave"),
        ("/back", "you are not away. usage: /away [TEXT]"),
        ("/quiet maybe", "maybe is neither on nor off. usage: /quiet [on or off]"),
        ("/time Nowhere", "there is no time zone Nowhere. one such is Europe/Berlin"),
        ("/history x", "x is no number and no time. usage: /history [N or 10m]"),
        ("/history 0", "0 is no number and no time. usage: /history [N or 10m]"),
        ("/help foo", "unknown command: foo. /help lists them"),
        ("/", "unknown command: /. /help lists them"),
        ("/topic " + "x" * 391, "a topic holds at most 390 characters"),
        ("/away " + "x" * 201, "an away text holds at most 200 characters"),
        ("/quit " + "x" * 201, "a reason holds at most 200 characters"),
        ("/nick " + "x" * 33, "a nick holds at most 32 characters"),
        ("/nick a b", "a nick holds no blank"),
        ("/join " + "x" * 65, "a room name holds at most 64 characters"),
        ("x" * 1025, "a line holds at most 1024 bytes"),
        ("é" * 513, "a line holds at most 1024 bytes"),
        ("\ufffd" * 1025, "a line holds at most 1024 bytes"),
    ],
)
def test_a_refusal_says_what_was_wrong(town, ann, line, refusal):
    """Bad input gets one clear line, and changes nothing."""
    assert ann.asks(line) == [f"err: {refusal}"]
    assert ann.asks("/who") == ["> here: ann"]


@pytest.mark.parametrize("line", ["/msg hi", "/me waves", "/leave", "/topic", "/history"])
def test_a_room_is_needed(town, line):
    """What happens in a room is refused to who is in none."""
    guest = town.arrives()
    assert guest.asks(line) == ["err: you are in no room. usage: /join ROOM_NAME"]


def test_who_is_on_the_server(town, ann):
    """``/who`` in no room tells who is there at all."""
    guest = town.arrives("/nick bob")
    assert guest.asks("/who") == ["> on the server: ann, bob"]
    guest.types("/away")
    assert ann.asks("/leave") == ["> you have left tea"]
    assert ann.asks("/who") == ["> on the server: ann, bob (away)"]


# Lines


@pytest.mark.parametrize("line", ["", " ", "\t", "\u3000 "])
def test_an_empty_line_is_nothing(ann, bob, line):
    """Blanks alone are no line."""
    assert bob.asks(line) == []
    assert ann.reads() == []


@pytest.mark.parametrize(
    ("line", "heard"),
    [
        ("hi", "hi"),
        ("/msg hi  there ", "hi  there"),
        ("  /MSG hi", "hi"),
        ("/msg\thi", "hi"),
        ("//msg hi", "/msg hi"),
        (" //x", "/x"),
        ("  indented ", "indented"),
        ("a\tb", "a b"),
        ("a\x1b[2Jb\r\n> ann: forged", "a\ufffd[2Jb\ufffd\ufffd> ann: forged"),
    ],
)
def test_a_line_is_said(ann, bob, line, heard):
    """Commands in any case and after blanks, two slashes for one, no controls."""
    bob.types(line)
    assert ann.reads() == [f"> bob: {heard}"]


def test_the_speaker_does_not_hear_themselves(ann, bob):
    """A terminal has shown the line already."""
    assert bob.asks("hi") == []
    assert bob.asks("/me waves") == []


def test_a_client_that_echoes_hears_its_own_lines(town, ann):
    """Not every client shows what was typed."""
    page = town.arrives("/nick page", "/join tea", echo=True)
    page.reads()
    assert page.asks("hi") == ["> page: hi"]
    assert ann.reads()[-1] == "> page: hi"


def test_everyone_hears_one_order(town, ann, bob):
    """Lines said in one turn are heard in one order by everyone else."""
    cyd, dan = town.enters("cyd"), town.enters("dan")
    for guest in (ann, bob, cyd, dan):
        guest.reads()
    for number in range(3):
        ann.session.receive(f"a{number}")
        bob.session.receive(f"b{number}")
    said = [f"> {n}: {n[0]}{i}" for i in range(3) for n in ("ann", "bob")]
    if town.kind == "in redis":  # what a node says in one turn stays together
        said.sort()
    assert cyd.reads() == dan.reads() == said
    assert ann.reads() == [f"> bob: b{i}" for i in range(3)]
    assert bob.reads() == [f"> ann: a{i}" for i in range(3)]


# Names


def test_people_without_a_name_are_numbered(town):
    """The lowest number that is free is taken."""
    first, second, third = town.arrives(), town.arrives(), town.arrives()
    assert [guest.reads() for guest in (first, second, third)] == [
        [WELCOME.format(name)] for name in ("anonymous", "anonymous-2", "anonymous-3")
    ]
    second.types("/nick bob")
    third.drops()
    assert town.arrives().reads() == [WELCOME.format("anonymous-2")]
    assert town.arrives().reads() == [WELCOME.format("anonymous-3")]


def test_a_name_is_had_by_one(town, ann):
    """A name in use is refused, in any letter case, and is free again afterwards."""
    bob = town.arrives()
    assert bob.asks("/nick ANN") == ['err: "ANN" is taken']
    ann.drops()
    assert bob.asks("/nick ANN") == ["> all right, I will call you ANN"]


def test_two_claims_in_one_turn_have_one_winner(town):
    """Who comes second is refused, though the name was free when they asked."""
    ann, bob = town.arrives(), town.arrives()
    ann.session.receive("/nick eve")
    bob.session.receive("/nick eve")
    assert ann.reads()[-1] == "> all right, I will call you eve"
    assert bob.reads()[-1] == 'err: "eve" is taken'


def test_a_name_can_change_its_case(town, ann, bob):
    """One's own name is not taken from oneself."""
    assert ann.asks("/nick Ann") == ["> all right, I will call you Ann"]
    assert ann.asks("/nick Ann") == ["> you are Ann already"]
    assert bob.reads() == ["> ann is now known as Ann"]


def test_whois(town, ann):
    """It tells where someone is, since when, and whether they are away."""
    town.clock.advance(7200)
    assert ann.asks("/whois ANN") == ["> ann is in tea, connected for 2 hours"]
    ann.types("/away lunch")
    assert ann.asks("/whois ann") == ["> ann is in tea, connected for 2 hours, away: lunch"]
    ann.types("/away", "/leave")
    assert ann.asks("/whois ann") == ["> ann is in no room, connected for 2 hours, away"]


# Rooms


def test_one_room_at_a_time(town, ann, bob):
    """Entering a room leaves the old one; no line crosses rooms."""
    bob.types("/join coffee")
    assert ann.reads() == ["> bob has left the room"]
    bob.types("hi")
    assert ann.asks("hello") == []
    assert bob.reads() == ["> welcome to coffee", "> here: bob"]


def test_a_room_that_is_refused_keeps_one_where_one_is(town, ann, bob):
    """A refused ``/join`` changes nothing."""
    assert bob.asks("/join t\u0435a")[0].startswith("err: ")
    bob.types("still here")
    assert ann.reads() == ["> bob: still here"]


def test_a_room_name_ignores_case(town, ann, bob):
    """``/join TEA`` enters ``tea``."""
    cyd = town.arrives("/nick cyd")
    assert cyd.asks("/join TEA") == ["> welcome to tea", "> here: ann, bob, cyd"]


def test_one_may_come_back_to_an_empty_room(town, ann):
    """It leaves the list at once, but within a day it is the same room, as one left it."""
    ann.types("hello", "/topic leaves", "/leave")
    assert ann.asks("/rooms") == ["> available rooms: none. /join NAME makes one"]
    town.clock.advance(DORMANT_SECONDS)
    welcome, topic, said, here = ann.asks("/join TEA")
    assert (welcome, topic, here) == ("> welcome to TEA", "> topic: leaves", "> here: ann")
    assert said.endswith("] ann: hello")


def test_an_empty_room_is_over_after_a_day(town, ann):
    """Made anew it is another room, without what was said and the topic, and then it is kept."""
    ann.types("secret", "/topic secret", "/leave")
    town.clock.advance(DORMANT_SECONDS + 1)
    assert ann.asks("/join tea") == ["> welcome to tea", "> here: ann"]
    assert ann.asks("/history") == ["> nothing was said then"]
    ann.types("new", "/leave")
    assert ann.asks("/join tea")[1].endswith("] ann: new")


def test_many_rooms_are_erased_bit_by_bit(monkeypatch):
    """However many are over at once, nobody has to wait for it."""
    monkeypatch.setattr(kept, "ERASED_AT_ONCE", 2)
    town = Town()
    ann = town.enters("ann", "room0")
    for number in range(1, 6):
        ann.types("hello", f"/join room{number}")
    town.clock.advance(DORMANT_SECONDS + 61)
    left = []
    for _ in range(3):
        town.nodes[0].tick()
        left.append(len(town.nodes[0].kept._dormant))
    assert left == [3, 1, 0]


def test_what_was_said_in_a_room_that_is_over_is_erased(town, ann):
    """Nobody has to come back for that."""
    ann.types("secret")
    (room,) = town.nodes[0].rooms
    ann.types("/leave")
    town.clock.advance(DORMANT_SECONDS + 61)
    for node in town.nodes:
        node.tick()
        town.passes(0.1)
        assert town.settles(node.store.history(room, 10)) == []


def test_a_room_in_which_nothing_was_said_is_not_kept(town, ann):
    """There is nothing to come back to, and nothing to remember."""
    ann.types("/leave")
    for node in town.nodes:
        assert not node.kept._dormant


def test_rooms_to_come_back_to_are_bounded(town, monkeypatch):
    """Whoever makes rooms and leaves them pushes out the eldest, and fills no memory."""
    monkeypatch.setattr(kept, "DORMANT_ROOMS", 3)
    ann = town.enters("ann", "room0")
    for number in range(1, 6):
        ann.types("hello", f"/join room{number}")
    assert len(ann.asks("/join room1")) == 2
    assert len(ann.asks("/join room4")) == 3


def test_lists_are_sorted(town):
    """Rooms and people are listed as people sort them."""
    guests = [town.enters(f"g{n}", room) for n, room in enumerate(("b", "C", "a"))]
    assert guests[0].asks("/rooms") == ["> available rooms: a, b, C"]
    assert guests[0].asks("/rooms B") == ["> available rooms: b"]
    assert guests[0].asks("/rooms z") == ["> available rooms: none. /join NAME makes one"]
    guests[0].types("/join a")
    assert guests[0].asks("/who") == ["> here: g0, g2"]
    assert guests[0].asks("/who c") == ["> in C: g1"]


def test_a_long_list_is_cut(town):
    """A list shows two hundred, and how to see the others."""
    for number in range(201):
        town.enters(f"guest{number:03}", f"room{number:03}")
    guest = town.arrives()
    first, more = guest.asks("/rooms")
    assert len(first.split(", ")) == 200
    assert more == "> … and 1 more: /rooms PREFIX"


def test_the_topic(town, ann, bob):
    """A topic is seen by all when it is set, and by whoever asks."""
    assert bob.asks("/topic") == ["> no topic is set"]
    assert bob.asks("/topic green leaves") == ["> bob set the topic: green leaves"]
    assert ann.reads() == ["> bob set the topic: green leaves"]
    assert ann.asks("/topic") == ["> topic: green leaves"]


def test_who_is_gone_at_once_is_announced_once(town, ann, bob):
    """However someone goes, the others see it once, and the name is free."""
    bob.drops()
    bob.session.end()
    assert ann.reads() == ["> bob has left the room"]
    cyd = town.enters("bob")
    cyd.types("/quit the cat is on fire")
    assert ann.reads() == ["> bob joined the room", "> bob has left the room (the cat is on fire)"]
    assert [len(node.people) for node in town.nodes] == [1] * len(town.nodes)


def test_history(town, ann, bob):
    """The last lines, as many or as far back as asked for, with their times."""
    for number in range(12):
        ann.types(f"line {number}")
        town.clock.advance(59)
    assert [line[-6:] for line in bob.asks("/history 2")] == ["ine 10", "ine 11"]
    assert len(bob.asks("/history")) == 10
    assert [line[-6:] for line in bob.asks("/history 2m")] == ["ine 10", "ine 11"]
    assert bob.asks("/history 30s") == ["> nothing was said then"]
    assert len(bob.asks("/history 999")) == 12
    assert len(town.enters("cyd").reads()) == 1 + 1 + 1 + 10 + 1


@pytest.mark.parametrize("replay", [0, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_how_much_is_replayed_on_joining_can_be_set(kind, replay):
    """None at all, if the operator likes; who asks is shown the past all the same."""
    town = Town(kind, Limits(flood=None, replay=replay))
    town.enters("ann").types(*(f"line {number}" for number in range(20)))
    bob = town.enters("bob")
    assert len(bob.reads()) == 3 + replay + 1
    assert len(bob.asks("/history")) == 10


def test_history_and_search_leave_out_who_is_ignored(town, ann, bob):
    """The past is shown as one would have seen it."""
    ann.types("from ann")
    bob.types("from bob", "/ignore ann")
    assert [line[-8:] for line in bob.asks("/history")] == ["from bob"]
    assert [line[-8:] for line in bob.asks("/search from")] == ["from bob"]


def test_search(town, ann, bob):
    """What holds all the words, in one's room, newest first and with its time."""
    ann.types("Green tea", "black tea", "/me drinks TEA", "coffee")
    assert town.enters("cyd", "coffee").asks("/search tea") == ["> nothing was found"]
    found = bob.asks("/search tea")
    assert [line.partition("] ")[2] for line in found] == [
        "* ann drinks TEA",
        "ann: black tea",
        "ann: Green tea",
    ]
    assert all(line.startswith("> [20") for line in found)
    assert [line[-9:] for line in bob.asks("/search  TEA   gree ")] == ["Green tea"]
    assert bob.asks("/search green coffee") == ["> nothing was found"]


def test_a_search_is_bounded(town, ann, bob):
    """So many words, and so many lines; that there are more is said."""
    ann.types(*(f"line {number}" for number in range(50)))
    assert len(bob.asks("/search line")) == 50
    ann.types("line 50")
    found = bob.asks("/search line")
    assert found[0].endswith("line 50")
    assert found[-2].endswith("line 1")
    assert found[-1] == "> … and more: another word narrows it"
    many = " ".join("abcdefghijk")
    assert bob.asks(f"/search {many}") == ["err: a search takes at most 10 words"]
    assert bob.asks("/search") == ["err: what to look for is required. usage: /search WORDS"]


def test_forget(town, ann, bob):
    """What one has said is gone, from history and search, in every room; nothing else is."""
    ann.types("one", "/join coffee", "two", "/join tea")
    bob.types("three")
    assert ann.asks("/forget") == ["> what you have said is erased from the history"]
    ann.types("four")
    assert [line.split()[-1] for line in bob.asks("/history")] == ["three", "four"]
    assert bob.asks("/search one") == ["> nothing was found"]
    assert bob.asks("/join coffee") == ["> welcome to coffee", "> here: bob"]


def test_forget_is_about_oneself(town, ann, bob):
    """Someone else by the same name has nothing to do with it, before or after."""
    ann.types("one", "/quit")
    ann = town.enters("ann")
    ann.types("two", "/forget", "three")
    assert [line.split()[-1] for line in bob.asks("/history")] == ["one", "three"]


def test_what_is_said_after_joining_is_not_replayed(town, ann):
    """A line is replayed or heard, never both, though it is said while someone enters."""
    bob = town.arrives("/nick bob")
    bob.reads()
    ann.session.receive("one")
    bob.session.receive("/join tea")
    ann.session.receive("two")
    seen = ["tea", "one", "bob", "two"]
    if town.kind == "in redis":  # what a node says in one turn stays together
        seen = ["tea", "one", "two", "bob"]
    assert [line.split()[-1] for line in bob.reads()] == seen


# Private lines


def test_private_lines(town, ann, bob):
    """They reach one person, wherever they are, and nobody else."""
    cyd = town.enters("cyd", "coffee")
    cyd.reads()
    assert ann.asks("/pm CYD hi there")[-1] == "> [you -> cyd] hi there"
    assert cyd.reads() == ["> [ann -> you] hi there"]
    cyd.types("/nick cydney")
    assert cyd.asks("/r hello") == ["> [you -> ann] hello"]
    assert ann.reads() == ["> [cydney -> you] hello"]
    assert bob.asks("/w bob note") == ["> [bob -> you] note"]


def test_a_reply_follows_the_person(town, ann, bob):
    """``/reply`` goes to whoever wrote, under whatever name, and to nobody else who has it now."""
    ann.types("/tell bob hi", "/nick anna")
    impostor = town.enters("ann")
    impostor.reads()
    bob.types("/reply secret")
    assert ann.reads()[-1] == "> [bob -> you] secret"
    ann.drops()
    assert bob.asks("/reply more")[-1] == "err: ann has gone"
    assert impostor.reads() == ["> anna has left the room"]


def test_a_private_line_to_who_has_just_gone(town, ann, bob):
    """Who went while the line was on its way does not get it, and the sender is told."""
    ann.reads()
    bob.session.end()
    ann.session.receive("/tell bob hi")
    assert ann.reads()[-1] in (
        "err: there is nobody called bob",
        "err: there is nobody called bob now",
    )


def test_away(town, ann, bob):
    """Who writes to someone away is told so; lists show it."""
    assert bob.asks("/away lunch") == ["> you are marked as away"]
    assert ann.asks("/tell bob hi") == ["> [you -> bob] hi", "> bob is away: lunch"]
    assert ann.asks("/who") == ["> here: ann, bob (away)"]
    bob.types("/away")
    assert ann.asks("/tell bob hi")[-1] == "> bob is away"
    assert bob.asks("/back") == ["> you are back"]
    assert ann.asks("/tell bob hi") == ["> [you -> bob] hi"]


# Ignoring


def test_ignoring_follows_the_person(town, ann, bob):
    """Nothing said, emoted or told by someone ignored is shown, whatever they call themselves."""
    assert ann.asks("/ignore BOB") == ["> you ignore bob now. /unignore NAME ends it"]
    bob.types("/nick bobby", "loud", "/me shouts", "/tell ann psst")
    assert ann.reads() == ["> bob is now known as bobby"]
    assert bob.reads()[-1] == "> [you -> ann] psst"
    assert ann.asks("/ignore") == ["> you ignore: bob"]
    assert ann.asks("/tell bobby hi") == ["err: you ignore bobby. usage: /unignore NAME"]
    assert town.enters("bob").asks("hello") == []
    assert ann.reads()[-1] == "> bob: hello"
    assert ann.asks("/unignore bobby") == ["> you no longer ignore bob"]
    bob.types("hello")
    assert ann.reads() == ["> bobby: hello"]
    assert ann.asks("/ignore") == ["> you ignore nobody"]


def test_the_past_of_those_ignored_is_hidden(town, ann, bob):
    """What someone ignored has said is not replayed either."""
    bob.types("loud")
    ann.types("quiet")
    cyd = town.arrives("/nick cyd", "/ignore bob")
    assert [line[-5:] for line in cyd.asks("/join tea")[1:-1]] == ["quiet"]
    assert [line[-5:] for line in cyd.asks("/history")] == ["quiet"]


def test_bytes_that_are_no_text_count_once(ann, bob):
    """A byte that is not UTF-8 is shown as U+FFFD, and counts as the byte that it was."""
    bob.types("\ufffd" * 1000)
    assert ann.reads() == ["> bob: " + "\ufffd" * 1000]


def test_who_is_ignored_can_be_named_as_they_were_then(town, ann, bob):
    """``/unignore`` takes the name of then, of someone renamed or gone."""
    ann.types("/ignore bob")
    bob.types("/nick robert")
    assert ann.asks("/unignore bob") == ["> you no longer ignore bob"]
    ann.types("/ignore robert")
    bob.drops()
    assert ann.asks("/unignore robert")[-1] == "> you no longer ignore robert"


def test_ignored_people_are_bounded(town, ann):
    """A hundred can be ignored, and no more."""
    for number in range(101):
        town.arrives(f"/nick troll{number}")
        answer = ann.asks(f"/ignore troll{number}")
    assert answer == ["err: you ignore 100 people already. usage: /unignore NAME"]
    assert ann.asks("/ignore troll5") == ["> you ignore troll5 now. /unignore NAME ends it"]


def test_ignoring_ends_with_the_one_who_ignores(town, ann, bob):
    """Nothing is left behind of an ignore list whose owner has gone."""
    ann.types("/ignore bob")
    ann.drops()
    assert ann.session.rooms.ignoring.ignorers == {}


# Settings


def test_quiet(town, ann):
    """Joins and leaves can be hidden, and nothing else is."""
    assert ann.asks("/quiet on") == ["> joins and leaves are hidden"]
    bob = town.enters("bob")
    bob.types("hi", "/leave")
    assert ann.reads() == ["> bob: hi"]
    assert ann.asks("/quiet") == ["> joins and leaves are shown"]
    bob.types("/join tea")
    assert ann.reads() == ["> bob joined the room"]
    assert ann.asks("/quiet off") == ["> joins and leaves are shown"]


def test_times(town, ann, bob):
    """Lines are stamped in a zone, with or without being quiet as well."""
    assert ann.asks("/time Asia/Tokyo") == ["> times are shown in Asia/Tokyo"]
    ann.types("/quiet on")
    bob.types("hi")
    assert ann.reads()[-1] == "> [07:13] bob: hi"
    assert ann.asks("/time") == ["> times are not shown"]
    assert ann.asks("/time") == ["> times are shown in UTC"]
    assert ann.asks("/time utc") == ["> times are shown in UTC"]
    assert ann.asks("/time OFF") == ["> times are not shown"]


# The server


def test_help_comes_from_the_table(town, ann):
    """What serves is listed once; every command has a page under each of its names."""
    listed = ann.asks("/help")
    commands = town.nodes[0].commands
    serves = {command.name for command in commands.values() if command.serves(ann.session)}
    assert serves >= {"msg", "login"}
    assert serves.isdisjoint({"logout", "kick", "wall"})
    assert [line.split()[1][1:] for line in listed] == list(
        dict.fromkeys(command.name for command in commands.values() if command.name in serves)
    )
    for word, command in commands.items():
        shown = ann.asks(f"/help /{word}")
        assert shown[0] == f"> {command.usage} - {command.help}"
        assert len(shown) == 1 + bool(command.aliases)
    assert ann.asks("/help EXIT")[1] == "> also called /exit"


def test_the_message_of_the_day(town):
    """It is shown on arrival, and to who asks."""
    assert town.arrives().asks("/motd") == ["> there is no message of the day"]
    for node in town.nodes:
        node.motd = ["be", "kind"]
    guest = town.arrives()
    assert guest.reads()[1:] == ["> - be", "> - kind"]
    assert guest.asks("/motd") == ["> - be", "> - kind"]


def test_uptime_and_version(town, ann):
    """They tell how long the server is up, and what it is."""
    town.clock.advance(60)
    assert ann.asks("/uptime") == ["> up for 1 minute"]
    assert ann.asks("/version")[0].startswith("> twisted-chat 1.")


def test_limits():
    """Every number that a person can run into is shown."""
    strict = Town(limits=Limits(max_connections=7, idle_timeout=600)).arrives()
    shown = "\n".join(strict.asks("/limits"))
    for words in ("1024 bytes", "5 lines a second, 20 at once", "a nick holds 32", "64", "390"):
        assert words in shown
    for words in ("200", "ignore 100", "1048576", "268435456", "7 connections", "10 minutes"):
        assert words in shown
    for words in ("own 10 rooms", "100 private", "8 to 128", "2 are", "32 wait", "5 accounts"):
        assert words in shown
    assert "its place is kept for 2 minutes" in shown
    loose = Town(limits=Limits(flood=None, max_per_address=0, grace=0)).arrives()
    shown = "\n".join(loose.asks("/limits"))
    assert "if the connection of an account breaks, it has left" in shown
    for words in ("as fast as you can", "any number of connections", "as long as you like"):
        assert words in shown
