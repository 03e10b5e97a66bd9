"""The rules of chat, one behaviour at a time."""

import pytest

from server.chat.commands import (
    SHOWN_PEOPLE,
    CursorsMoved,
    LookAt,
    ModerationShown,
    MoveCursors,
    OpenConversation,
    Posted,
    Seen,
    ShowModeration,
)
from server.chat.model import (
    By,
    Delivered,
    MemberBanned,
    MemberMuted,
    MemberUnbanned,
    MessageDeleted,
    ReadUpTo,
    RoomLocked,
    RoomUnlocked,
    SlowModeSet,
    WordsBlocked,
)
from tests.unit.server.chat.past import BUYER, BY, CNV, MERCHANT, OPENED, OTHER, SAL, T0, Past, s, said

OPEN = OpenConversation(CNV, BUYER, MERCHANT, "prd_1", "Sneaker", "Bea")
OPERATOR = By("opr_1", "operator", "abuse")


class TestOpening:
    def test_a_conversation_is_opened_once(self) -> None:
        past = Past()
        assert past.when(OPEN).then(OPENED).created
        again = past.when(OPEN).then()
        assert not again.created

    def test_the_same_id_for_other_people_is_refused(self) -> None:
        other = OpenConversation(CNV, OTHER, MERCHANT, "prd_1", "Sneaker", "Otto")
        Past(OPENED).when(other).refused("conflict")

    def test_nothing_is_said_in_a_conversation_that_was_not_opened(self) -> None:
        Past().post().refused("not_found")


class TestSaying:
    def test_a_message_is_answered_with_its_position(self) -> None:
        reply = Past(OPENED).post().then(said("msg_n", text="hello", key=b"k"))
        assert reply == Posted("msg_n", T0, "hello", ref=2 * 1024, s=s(2))

    def test_messages_of_one_commit_have_positions_of_their_own(self) -> None:
        past = Past(key=SAL)
        first, second = said("msg_1"), said("msg_2")
        past.commit([first, second])
        replay = past.post(text="hi", digest=b"msg_2").then()
        assert (replay.s, replay.replayed) == (s(1, 1), True)

    def test_the_same_key_is_the_same_message_whatever_happened_since(self) -> None:
        past = Past(
            OPENED, said("msg_1", key=b"k"), MessageDeleted("msg_1", BY, T0), MemberBanned(BUYER, BY, T0)
        )
        reply = past.post("hi", now=T0 + 10**9).then()
        assert (reply.message_id, reply.s, reply.at, reply.replayed) == ("msg_1", s(2), T0, True)

    def test_another_text_under_the_same_key_is_refused(self) -> None:
        Past(OPENED, said("msg_1", key=b"k")).post("something else").refused("key_reused")

    def test_a_text_that_is_the_same_once_composed_is_the_same(self) -> None:
        past = Past(OPENED, said("msg_1", text="é", key=b"k"))
        assert past.post("e\u0301").then().replayed

    def test_to_a_stranger_a_conversation_does_not_exist(self) -> None:
        Past(OPENED).post(author=OTHER).refused("not_found")

    def test_anybody_writes_in_a_room(self) -> None:
        assert Past(key=SAL).post(author=OTHER).then(said("msg_n", OTHER, "hello", b"k")).s == s(1)

    @pytest.mark.parametrize("text", ("", "   ", "\x00\x1b\u202e", "\u200d", "x" * 2001, "x" * 20_000))
    def test_nothing_and_too_much_are_refused(self, text: str) -> None:
        Past(OPENED).post(text).refused("bad_request")

    def test_the_longest_text_is_taken(self) -> None:
        assert Past(OPENED).post("é" * 2000).events != []


class TestModerating:
    def test_a_deleted_message_is_deleted_once(self) -> None:
        past = Past(OPENED, said("msg_1"))
        assert past.moderate("delete", "msg_1").then(MessageDeleted("msg_1", BY, T0)).changed
        assert not past.moderate("delete", "msg_1").then().changed

    def test_what_was_never_said_is_not_deleted(self) -> None:
        Past(OPENED).moderate("delete", "msg_x").refused("not_found")

    def test_the_muted_wait(self) -> None:
        past = Past(MemberMuted(OTHER, T0 + 5_000, BY, T0), key=SAL)
        assert past.post(author=OTHER, now=T0 + 1_000).refused("muted").retry_after_ms == 4_000
        past.post(author=OTHER, now=T0 + 5_000).then(said("msg_n", OTHER, "hello", b"k", T0 + 5_000))

    def test_muting_again_until_the_same_time_changes_nothing(self) -> None:
        past = Past(key=SAL)
        assert past.moderate("mute", OTHER, until=T0 + 9).then(MemberMuted(OTHER, T0 + 9, BY, T0)).changed
        assert not past.moderate("mute", OTHER, until=T0 + 9).then().changed
        assert past.moderate("unmute", OTHER).then(MemberMuted(OTHER, 0, BY, T0)).changed
        assert not past.moderate("unmute", OTHER).then().changed

    def test_the_banned_do_not_write_until_they_are_unbanned(self) -> None:
        past = Past(key=SAL)
        past.moderate("ban", OTHER).then(MemberBanned(OTHER, BY, T0))
        assert not past.moderate("ban", OTHER).then().changed
        past.post(author=OTHER).refused("banned")
        past.moderate("unban", OTHER).then(MemberUnbanned(OTHER, BY, T0))
        assert past.post(author=OTHER).events

    def test_slow_mode_spaces_a_persons_messages(self) -> None:
        past = Past(SlowModeSet(10, BY, T0), said("msg_1", OTHER), key=SAL)
        assert past.post(author=OTHER, now=T0 + 4_000).refused("slow_mode").retry_after_ms == 6_000
        assert past.post(author=BUYER, now=T0 + 4_000).events
        assert past.post(author=OTHER, now=T0 + 10_000).events

    def test_a_lock_is_for_everybody_but_the_merchant_and_operators(self) -> None:
        past = Past(key=SAL)
        past.moderate("lock").then(RoomLocked(BY, T0))
        assert not past.moderate("lock").then().changed
        past.post(author=OTHER).refused("locked")
        assert past.post(author=MERCHANT, role="merchant").events
        past.moderate("unlock").then(RoomUnlocked(BY, T0))
        assert past.post(author=OTHER).events

    @pytest.mark.parametrize(
        "text", ("a SCAM!", "\uff53\uff43\uff41\uff4d", "sc\u200bam", "ScAm", "buy\nscam")
    )
    def test_blocked_words_are_found_in_any_dress(self, text: str) -> None:
        past = Past(key=SAL)
        past.moderate("block_words", words=("Scam", " scam ")).then(WordsBlocked(("scam",), BY, T0))
        past.post(text).refused("blocked_words")

    def test_a_word_inside_another_is_not_blocked(self) -> None:
        assert Past(WordsBlocked(("ass",), BY, T0), key=SAL).post("a classic").events

    def test_what_was_decided_and_still_holds_is_shown(self) -> None:
        past = Past(
            WordsBlocked(("scam",), BY, T0),
            MemberMuted(OTHER, T0 + 5_000, BY, T0),
            MemberMuted("usr_past", T0 + 1, BY, T0),
            MemberBanned(BUYER, BY, T0),
            MemberBanned("usr_back", BY, T0),
            MemberUnbanned("usr_back", BY, T0),
            SlowModeSet(10, BY, T0),
            RoomLocked(BY, T0),
            key=SAL,
        )
        shown = past.when(ShowModeration(SAL), T0 + 1_000).then()
        assert shown == ModerationShown(("scam",), 10, True, {OTHER: T0 + 5_000}, [BUYER], 0)
        assert Past(key=SAL).when(ShowModeration(SAL)).then() == ModerationShown((), 0, False, {}, [], 0)

    def test_of_very_many_people_some_are_shown_and_the_rest_is_counted(self) -> None:
        past = Past(*(MemberBanned(f"usr_{n}", BY, T0) for n in range(SHOWN_PEOPLE + 3)), key=SAL)
        shown = past.when(ShowModeration(SAL)).then()
        assert (len(shown.banned), shown.more) == (SHOWN_PEOPLE, 3)

    def test_only_the_merchant_and_operators_moderate(self) -> None:
        Past(key=SAL).moderate("lock", by=By(OTHER, "buyer", "")).refused("forbidden")
        Past(OPENED).moderate("lock", by=By(BUYER, "buyer", "")).refused("forbidden")
        Past(OPENED).moderate("lock", by=By("mer_x", "merchant", "")).refused("not_found")
        Past(OPENED).moderate("lock", by=OPERATOR).then(RoomLocked(OPERATOR, T0))


class TestReceipts:
    def test_cursors_only_go_forward(self) -> None:
        past = Past(OPENED, said("msg_1"), said("msg_2"))
        moved = past.when(MoveCursors(CNV, MERCHANT, 0, s(3))).then(ReadUpTo(MERCHANT, s(3), T0))
        assert moved == CursorsMoved(s(3), s(3))
        assert past.when(MoveCursors(CNV, MERCHANT, s(2), s(2))).then() == CursorsMoved(s(3), s(3))

    def test_what_is_delivered_is_not_read(self) -> None:
        past = Past(OPENED, said("msg_1"))
        moved = past.when(MoveCursors(CNV, MERCHANT, s(2), 0)).then(Delivered(MERCHANT, s(2), T0))
        assert moved == CursorsMoved(s(2), 0)

    def test_a_cursor_behind_the_end_is_refused(self) -> None:
        Past(OPENED, said("msg_1")).when(MoveCursors(CNV, MERCHANT, 0, s(3))).refused("bad_request")

    def test_strangers_have_none(self) -> None:
        Past(OPENED).when(MoveCursors(CNV, OTHER, 0, s(1))).refused("not_found")

    def test_rooms_keep_none(self) -> None:
        Past(said("msg_1"), key=SAL).when(MoveCursors(SAL, OTHER, 0, s(1))).refused("wrong_state")


class TestLooking:
    def test_the_two_sides_see_a_conversation_and_nobody_else(self) -> None:
        past = Past(OPENED, said("msg_1"), ReadUpTo(MERCHANT, s(2), T0))
        seen = past.when(LookAt(CNV, BUYER, "buyer")).then()
        assert isinstance(seen, Seen)
        assert (seen.s, seen.cursors) == (s(3), {BUYER: (0, 0), MERCHANT: (s(2), s(2))})
        past.when(LookAt(CNV, OTHER, "buyer")).refused("not_found")
        assert past.when(LookAt(CNV, "opr_1", "operator")).then().s == s(3)

    def test_an_empty_room_stands_at_nothing(self) -> None:
        assert Past(key=SAL).when(LookAt(SAL, "", "buyer")).then().s == 0

    def test_what_nobody_is_told_moves_no_top(self) -> None:
        past = Past(said("msg_1"), WordsBlocked(("x",), BY, T0), key=SAL)
        assert past.when(LookAt(SAL, "", "buyer")).then().s == s(1)

    def test_the_banned_are_told_that_they_may_not_write(self) -> None:
        past = Past(MemberBanned(OTHER, BY, T0), key=SAL)
        assert past.when(LookAt(SAL, OTHER, "buyer")).then().refusal == "banned"
