"""What a moderator does to a room or to somebody in it, as the server is asked for it. PURE."""

from typing import Any, Final

from admin_tui.answers import MessageRow, RoomRow
from admin_tui.text import inert
from admin_tui.widgets.dialogs import Asked, Question

MUTE_SECONDS: Final = 600
MAX_SLOW_SECONDS: Final = 3600
Body = dict[str, Any]


def about_message(action: str, message: MessageRow) -> tuple[str, Body]:
    """Return words and body of what needs no question: delete, mute, unmute, unban."""
    if action == "delete":
        return f"delete message {message.s}", {"action": action, "target": message.id, "reason": ""}
    body: Body = {"action": action, "target": message.user, "reason": ""}
    if action == "mute":
        body["seconds"] = MUTE_SECONDS
    return f"{action} {inert(message.name, 20)}", body


def about_lock(room: RoomRow) -> tuple[str, Body]:
    """Return words and body that lock a room, or unlock a locked one."""
    action = "unlock" if room.locked else "lock"
    return f"{action} {inert(room.title, 30)}", {"action": action, "reason": ""}


def ask_ban(message: MessageRow) -> Question:
    """Return the question before somebody is banned."""
    note = "They can read the room and not write in it, until they are unbanned (B)."
    return Question("ban", message.name, "Ban", note, is_grave=True)


def ban(message: MessageRow, asked: Asked) -> tuple[str, Body]:
    """Return words and body of a ban."""
    return f"ban {inert(message.name, 20)}", {"action": "ban", "target": message.user, "reason": asked.reason}


def ask_slow(room: RoomRow) -> Question:
    """Return the question for a slow mode."""
    now = str(room.slow_ms // 1000)
    note = "Everybody waits so long between two messages."
    return Question("slow mode", room.title, "Set", note, "Seconds; 0 ends it:", now, MAX_SLOW_SECONDS)


def slow(asked: Asked) -> tuple[str, Body]:
    """Return words and body of a slow mode."""
    body = {"action": "slow_mode", "seconds": int(asked.value), "reason": asked.reason}
    return f"slow mode {asked.value} s", body


def ask_words(room: RoomRow) -> Question:
    """Return the question for blocked words."""
    note = "Messages with one of these words are refused. They replace the ones before."
    return Question("blocked words", room.title, "Replace", note, "Words, with commas between:")


def words(asked: Asked) -> tuple[str, Body]:
    """Return words and body that replace the blocked words."""
    blocked = [word.strip() for word in asked.value.split(",") if word.strip()]
    return f"block {len(blocked)} words", {"action": "block_words", "words": blocked, "reason": asked.reason}
