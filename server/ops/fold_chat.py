"""How the events of rooms and conversations change the board. PURE. Of conversations, nothing but counts is kept."""

from typing import Any, Final

from server.chat.model import (
    EVENTS_PER_COMMIT,
    MemberBanned,
    MemberMuted,
    MemberUnbanned,
    MessageDeleted,
    MessagePosted,
    RoomLocked,
    RoomUnlocked,
    SlowModeSet,
)
from server.ops.state import (
    MAX_MESSAGES,
    MAX_MUTED,
    MAX_ROOMS,
    MAX_TEXT,
    MESSAGES,
    Message,
    Place,
    Room,
    State,
    by_second,
)

# A room is never slower than this, whatever its log says.
SLOWEST_SECONDS: Final = 24 * 3600


def room_of(place: Place) -> Room:
    """Return the room of an event; it appears with its first one."""
    state, key = place.state, place.key
    room = state.rooms.get(key)
    if room is None:
        room = state.rooms[key] = Room()
        if len(state.rooms) > MAX_ROOMS + MAX_ROOMS // 10:
            _trim_rooms(state, key)
    return room


def posted(place: Place, event: MessagePosted) -> None:
    """Somebody said something in a room."""
    said(place, event)
    room = room_of(place)
    room.messages += 1
    room.last_at = max(room.last_at, event.at)
    by_second(room.spoken, event.at, 1)
    room.newest.append(
        Message(
            event.message_id,
            place.position * EVENTS_PER_COMMIT + place.index,
            event.author,
            event.author_name[:MAX_TEXT],
            event.role,
            event.text[:MAX_TEXT],
            event.at,
        )
    )
    place.state.kept_messages += 1
    if len(room.newest) > 2 * MESSAGES:
        del room.newest[:-MESSAGES]
        place.state.kept_messages -= MESSAGES + 1
    if place.state.kept_messages > MAX_MESSAGES:
        _trim_messages(place.state)


def said(place: Place, _event: MessagePosted) -> None:
    """Somebody said something somewhere."""
    place.second.messages += 1
    place.state.messages += 1


def deleted(place: Place, event: MessageDeleted) -> None:
    """A message is taken back; its text goes."""
    room = room_of(place)
    room.deleted += 1
    for message in room.newest:
        if message.id == event.message_id:
            message.deleted, message.text = True, ""


def muted(place: Place, event: MemberMuted) -> None:
    """Somebody may not write for a while."""
    silent = room_of(place).muted
    silent.pop(event.user, None)
    if event.until > event.at:
        silent[event.user] = event.until
    if len(silent) > MAX_MUTED:
        for user in [u for u, until in silent.items() if until <= event.at] or list(silent)[:1]:
            del silent[user]


def banned(place: Place, event: MemberBanned) -> None:
    """Somebody may not write any more."""
    room_of(place).banned[event.user] = None


def unbanned(place: Place, event: MemberUnbanned) -> None:
    """Somebody may write again."""
    room_of(place).banned.pop(event.user, None)


def slowed(place: Place, event: SlowModeSet) -> None:
    """A room is made slower, or not."""
    room_of(place).slow_seconds = max(0, min(event.seconds, SLOWEST_SECONDS))


def locked(place: Place, _event: RoomLocked) -> None:
    """A room is closed to most."""
    room_of(place).locked = True


def unlocked(place: Place, _event: RoomUnlocked) -> None:
    """A room is open to all."""
    room_of(place).locked = False


def _silent_first(state: State) -> list[tuple[int, str]]:
    return sorted((room.last_at, key) for key, room in state.rooms.items())


def _trim_rooms(state: State, but: str) -> None:
    for _, key in _silent_first(state)[: len(state.rooms) - MAX_ROOMS]:
        if key != but:
            state.kept_messages -= len(state.rooms.pop(key).newest)
            state.gone.rooms += 1


def _trim_messages(state: State) -> None:
    for _, key in _silent_first(state):
        if state.kept_messages <= MAX_MESSAGES - MAX_MESSAGES // 10:
            return
        room = state.rooms[key]
        state.kept_messages -= len(room.newest)
        room.newest = []


ROOM: Final[dict[type[Any], Any]] = {
    MessagePosted: posted,
    MessageDeleted: deleted,
    MemberMuted: muted,
    MemberBanned: banned,
    MemberUnbanned: unbanned,
    SlowModeSet: slowed,
    RoomLocked: locked,
    RoomUnlocked: unlocked,
}
CONVERSATION: Final[dict[type[Any], Any]] = {MessagePosted: said}
