"""Who may do what, in a room and on the server."""

from hmac import compare_digest
from typing import TYPE_CHECKING

from twisted_chat.chat.acts import Act, Appointed, Invited, Kicked, Sanctioned
from twisted_chat.chat.charter import EVERYONE, Charter, Rank, Sanction
from twisted_chat.chat.duration import in_words
from twisted_chat.chat.events import ChatError, Emoted, Joined, Reported, Returned, Said, TopicSet
from twisted_chat.chat.kept import KeptRoom
from twisted_chat.chat.limits import ROLES, ROOMS_OWNED, SANCTIONS
from twisted_chat.chat.names import Name
from twisted_chat.chat.person import Person
from twisted_chat.chat.room import Room

if TYPE_CHECKING:
    from twisted_chat.chat.rooms import Rooms

ONLY_SERVER = "only operators of the server may do that"


def details(sanction: Sanction, now: float) -> str:
    """Say for how long something holds, and why."""
    span = "" if sanction.until is None else f" for another {in_words(sanction.until - now)}"
    return span + (f": {sanction.reason}" if sanction.reason else "")


class Rights:
    """Answers who may do what; it changes nothing but who spoke when in a slow room."""

    def __init__(self, rooms: "Rooms") -> None:
        self._rooms = rooms
        self.everywhere = Room(0, Name("*", (), "*"))
        """What holds on all of the server is laid down like what holds in a room."""
        self.abandoned: dict[str, float] = {}
        """Accounts that were given up of late, and when: somebody may not know it yet."""

    def rank(self, account: str | None, room: Room | None) -> Rank:
        """Tell what someone is in a room, or anywhere, by their account."""
        if account in self._rooms.operators:
            return Rank.SERVER
        return room.charter.rank(account) if room else Rank.MEMBER

    def scope(self, room: int) -> Room | None:
        """Find a room by its id; 0 is all of the server."""
        return self._rooms.rooms.get(room) if room else self.everywhere

    def bar(self, person: Person, now: float) -> str:
        """Say why someone must log in before anything else; empty if they need not."""
        if person.barred is None:
            return ""
        # That one may be lifted or over, and another hold.
        barred = self.everywhere.charter.against(person, "ban", now)
        if barred is None:
            return ""
        if barred.subject == EVERYONE:
            return "only who has an account may come in now"
        what = "key" if barred.is_of_a_key else "address"
        return f"your {what} is banned{details(barred, now)}"

    def heir(self, charter: Charter) -> str:
        """Tell who follows as owner: who has been an operator for longest, and may own more."""
        owns = self._rooms.kept.owned_by
        return next((one for one in charter.operators if owns(one) < ROOMS_OWNED), "")

    # Acts

    def admit_act(self, act: Act) -> None:
        """Check whether someone may do something to somebody.

        :raises ChatError: they may not.
        """
        room = self.scope(act.room)
        if room is None:
            raise ChatError("that room is no more")
        if self._rooms.people[act.who.person].who.account != act.who.account:
            raise ChatError("you are somebody else by now")
        rank = self.rank(act.who.account, room)
        if room is self.everywhere and rank is not Rank.SERVER:
            raise ChatError(ONLY_SERVER)
        if rank is Rank.MEMBER:
            raise ChatError(f"only operators of {room.name.text} may do that")
        target = self._target(act)
        if target and self.rank(target, room) >= rank:
            self._refuse_target(target, act, room)
        if isinstance(act, Appointed | Invited) and act.whom.account in self.abandoned:
            raise ChatError(f"{act.whom.name} has given up their account")
        if isinstance(act, Appointed):
            self._admit_appointed(act, room)
        _refuse_too_many(act, room.charter.lasting(act.time, self._rooms.people))

    def _target(self, act: Act) -> str | None:
        """Give the account that something is done to; a guest may have become one."""
        if isinstance(act, Kicked) and (person := self._rooms.people.get(act.whom.person)):
            return person.who.account
        return act.target

    def _admit_appointed(self, act: Appointed, room: Room) -> None:
        if act.whom.account == act.who.account:
            self._refuse_locking_out(act, room.charter)
        if act.rank is not Rank.OWNER:
            return
        if owner := room.charter.owner:
            raise ChatError(f"{room.name.text} belongs to {owner[1:]} by now")
        if self._rooms.kept.owned_by(act.whom.account or "") >= ROOMS_OWNED:
            raise ChatError(f"{act.whom.name} owns {ROOMS_OWNED} rooms already")

    def _refuse_target(self, target: str, act: Act, room: Room) -> None:
        if target == act.who.account:
            raise ChatError("you cannot do that to yourself")
        rank = self.rank(target, room)
        what = "the owner" if rank is Rank.OWNER else "an operator"
        where = "the server" if rank is Rank.SERVER else room.name.text
        raise ChatError(f"{target[1:]} is {what} of {where}")

    def _refuse_locking_out(self, act: Appointed, charter: Charter) -> None:
        """Refuse that the last owner goes, and nobody could enter the room any more."""
        is_last = act.who.account == charter.owner and not self.heir(charter)
        if is_last and (charter.locked or charter.key):
            raise ChatError("nobody could open the room then. usage: /unlock, /key off")

    # Entering and speaking

    def admit_joined(self, event: Joined, name: str, charter: Charter) -> None:
        """Check whether someone may enter a room of that name.

        :raises ChatError: they may not.
        """
        person = self._rooms.people[event.who.person]
        if person.who.account in self._rooms.operators:
            return
        if charter.rank(person.who.account) is not Rank.MEMBER:
            return
        now = event.time
        if ban := charter.against(person, "ban", now):
            raise ChatError(f"you are banned from {name}{details(ban, now)}")
        if event.who.identity in charter.invited:
            return
        if charter.locked:
            raise ChatError(f"{name} is locked: only who is invited may enter")
        if charter.key and not event.key:
            raise ChatError(f"{name} has a key. usage: /join ROOM_NAME KEY")
        if charter.key and not compare_digest(charter.key, event.key):
            raise ChatError(f"that is not the key of {name}")

    def admit_return(
        self, person: Person, name: str, room: Room | KeptRoom, event: Returned
    ) -> None:
        """Check whether someone may be again in a room of that name, in which they were.

        :raises ChatError: they may not.
        """
        if room.id != event.room:
            joined = Joined(person.who, 0, name)
            joined.time = event.time
            self.admit_joined(joined, name, room.charter)
            return
        ban = room.charter.against(person, "ban", event.time)
        if ban and self.rank(person.who.account, self.scope(room.id)) is Rank.MEMBER:
            raise ChatError(f"you are banned from {name}{details(ban, event.time)}")

    def admit_login(self, account: str, now: float) -> None:
        """Check whether an account may log in.

        :raises ChatError: it is banned.
        """
        if ban := self.ban_of(account, now):
            raise ChatError(f"{account[1:]} is banned{details(ban, now)}")

    def ban_of(self, account: str, now: float) -> Sanction | None:
        """Give what bans an account from the server, if anything does."""
        if account in self._rooms.operators:
            return None
        return self.everywhere.charter.against_account(account, "ban", now)

    def admit_topic(self, event: TopicSet) -> None:
        """Check whether someone may set the topic of a room.

        :raises ChatError: they are not in it, or may not say anything there now.
        """
        person = self._rooms.people[event.who.person]
        room, now = person.room, event.time
        if room is None or room.id != event.room:
            raise ChatError("you are no longer in that room")
        if why := self.mute_of(person, room, now) or self._wait_of(person, room, now):
            raise ChatError(why)

    def hush(self, event: Said | Emoted | Reported | TopicSet, speaker: Person, room: Room) -> str:
        """Say why something may not be said; empty if it may, and is."""
        now = event.time
        if why := self.mute_of(speaker, room, now) or self._wait_of(speaker, room, now):
            return why
        if room.charter.slow:
            _note_spoke(room, speaker.who.identity, now)
        return ""

    def mute_of(self, person: Person, room: Room, now: float) -> str:
        """Say why someone may say nothing at all in a room; empty if they may."""
        if self.rank(person.who.account, room) is not Rank.MEMBER:
            return ""
        mute = room.charter.against(person, "mute", now)
        return f"you are muted{details(mute, now)}" if mute else ""

    def _wait_of(self, person: Person, room: Room, now: float) -> str:
        slow = room.charter.slow
        if not slow or self.rank(person.who.account, room) is not Rank.MEMBER:
            return ""
        wait = room.spoke.get(person.who.identity, 0.0) + slow - now
        return f"the room is slow: wait for {in_words(wait + 1)}" if 0 < wait <= slow else ""


def _note_spoke(room: Room, identity: str, now: float) -> None:
    """Remember when somebody said something, and no longer than that matters."""
    room.spoke[identity] = now
    if len(room.spoke) > 2 * len(room.members) + 10:
        slow = room.charter.slow
        room.spoke = {one: then for one, then in room.spoke.items() if 0 <= now - then < slow}


def _refuse_too_many(act: Act, charter: Charter) -> None:
    if isinstance(act, Sanctioned):
        if len(charter.sanctioned(act.sanction).sanctions) > SANCTIONS:
            raise ChatError(f"{SANCTIONS} bans and mutes are in force already. /bans lists them")
    elif isinstance(act, Invited) and len(charter.invited) >= ROLES:
        raise ChatError(f"{ROLES} are invited already")
    elif isinstance(act, Appointed) and act.rank and len(charter.operators) >= ROLES:
        raise ChatError(f"the room has {ROLES} operators already")
