"""The screen of chat, driven by keys: reading, and everything a moderator does with its noes."""

import pytest
from textual.widgets import Input

from admin_tui.widgets.dialogs import AskDialog
from tests.unit.admin_tui.watching import watched


async def in_room(run):
    """Go into the room with most to read, the cursor on its newest message."""
    await run.beats(1)
    await run.show("chat")
    await run.press("enter")
    await run.until(lambda: run.app.focused is run.table("#said-rows"))
    return run.app.visible_screen.message


async def fill(run, **fields):
    """Fill in the dialog that opens, and confirm it."""
    await run.until(lambda: isinstance(run.app.screen, AskDialog) and run.app.screen.is_mounted)
    for name, value in fields.items():
        run.app.screen.query_one(f"#{name}", Input).value = value
    run.app.screen.query_one("#reason", Input).focus()
    await run.press("enter")


async def posted(run):
    """The one moderation that was sent."""
    await run.until(lambda: bool(run.feed.posted))
    ((path, body, _),) = run.feed.posted
    assert path == f"/ops/rooms/{run.app.visible_screen._room}/moderate"
    return body


@pytest.mark.parametrize(
    ("key", "action", "about"),
    (
        ("d", "delete", "id"),
        ("m", "mute", "user"),
        ("M", "unmute", "user"),
        ("B", "unban", "user"),
    ),
)
async def test_one_key_deletes_or_mutes(key, action, about):
    async with watched() as run:
        message = await in_room(run)
        await run.press(key)
        body = await posted(run)

        assert (body["action"], body["target"]) == (action, getattr(message, about))
        assert body.get("seconds") == (600 if action == "mute" else None)


async def test_a_deleted_message_leaves_its_place():
    async with watched() as run:
        message = await in_room(run)
        await run.press("d")
        await posted(run)
        await run.beat(2000)
        await run.until(lambda: run.table("#said-rows").rows[str(message.s)].deleted)
        await run.until(lambda: "1 deleted" in run.text("#chat-head"))


async def test_banning_is_asked_for_and_may_have_a_reason():
    async with watched() as run:
        message = await in_room(run)
        await run.press("b")
        await fill(run, reason="spam")
        body = await posted(run)

        assert body == {"action": "ban", "target": message.user, "reason": "spam"}
        await run.beat(2000)
        await run.until(lambda: "1 banned" in run.text("#chat-head"))


async def test_a_slow_mode_is_a_number_of_seconds():
    async with watched() as run:
        await in_room(run)
        await run.press("S")
        await fill(run, value="99999")
        assert run.feed.posted == []
        await fill(run, value="30")
        assert await posted(run) == {"action": "slow_mode", "seconds": 30, "reason": ""}
        await run.beat(2000)
        await run.until(lambda: "slow 30s" in run.text("#chat-head"))


async def test_blocked_words_are_a_list():
    async with watched() as run:
        await in_room(run)
        await run.press("w")
        await fill(run, value="scam,  free money ,,")
        body = await posted(run)

        assert (body["action"], body["words"]) == ("block_words", ["scam", "free money"])


async def test_a_room_is_locked_and_unlocked_by_the_same_key():
    async with watched() as run:
        await in_room(run)
        await run.press("L")
        assert (await posted(run))["action"] == "lock"
        await run.beat(2000)
        await run.until(lambda: "locked" in run.text("#chat-head"))
        await run.press("L")
        await run.until(lambda: len(run.feed.posted) == 2)
        assert run.feed.posted[1][1]["action"] == "unlock"


async def test_escape_thinks_better_of_it():
    async with watched() as run:
        await in_room(run)
        await run.press("b")
        await run.until(lambda: isinstance(run.app.screen, AskDialog))
        await run.press("escape")
        await run.until(lambda: not isinstance(run.app.screen, AskDialog))

        assert run.feed.posted == []


async def test_a_refusal_and_a_missing_answer_are_told():
    async with watched(size=(160, 40)) as run:
        await in_room(run)
        run.feed.refuse("forbidden", "This key may only read.")
        await run.press("d")
        await run.until(lambda: any("may only read" in notice for notice in run.notices))
        run.feed.fail()
        await run.press("d")
        await run.until(lambda: any("no answer" in notice for notice in run.notices))
        await run.press("y")
        await run.until(lambda: next(iter(run.app.model.picture(0).actions)).stage == "effective")


@pytest.mark.parametrize("how", ({"operate": False}, {"role": "viewer"}))
@pytest.mark.parametrize("key", ("d", "m", "b", "S", "L", "w"))
async def test_who_may_not_act_is_told_so_and_nothing_is_sent(how, key):
    async with watched(**how) as run:
        await in_room(run)
        await run.press(key)
        await run.until(lambda: bool(run.notices))

        assert run.feed.posted == []
        assert run.app.screen is run.app.visible_screen


async def test_in_a_replay_nothing_is_sent():
    async with watched() as run:
        await in_room(run)
        run.app.replay_at(position=200)
        await run.until(lambda: run.app.picture.replay is not None and run.app.picture.replay.position == 200)
        await run.quiet()
        await run.press("d", "L", "b")

        assert run.feed.posted == []


async def test_what_is_said_comes_in_and_the_newest_is_on_top():
    async with watched() as run:
        await in_room(run)
        before = run.table("#said-rows").keys[0]
        room = run.app.visible_screen._room
        run.feed.log.append(
            "said", room, "usr_1", "first!", {"message": "msg_1", "name": "zoe"}, run.clock.now()
        )
        await run.beat(2000)
        await run.until(lambda: int(run.table("#said-rows").keys[0]) > int(before))

        assert "first!" in {each.text for each in run.table("#said-rows").rows.values()}


async def test_older_messages_are_asked_for():
    async with watched() as run:
        await in_room(run)
        room = run.app.visible_screen._room
        for n in range(150):
            run.feed.log.append(
                "said", room, "usr_1", f"n{n}", {"message": f"msg_{n}", "name": "zoe"}, run.clock.now()
            )
        await run.beat(2000)
        await run.until(lambda: len(run.table("#said-rows").keys) == 100)
        await run.press("n")
        await run.until(lambda: len(run.table("#said-rows").keys) > 150)


async def test_another_room_shows_what_is_said_in_it():
    async with watched(size=(140, 40)) as run:
        await run.show("chat")
        first = run.app.visible_screen._room
        await run.press("down")
        await run.quiet()

        assert run.app.visible_screen._room != first
        said = run.feed.log.state.messages[run.app.visible_screen._room]
        assert len(run.table("#said-rows").keys) == min(100, len(said))


async def test_the_sale_of_a_room_is_one_key_away_and_escape_leaves_the_room():
    async with watched(size=(80, 24)) as run:
        await in_room(run)
        room = run.app.visible_screen._room
        assert run.app.visible_screen.query_one("#said").display
        await run.press("escape")
        assert not run.app.visible_screen.query_one("#said").display
        await run.press("g")
        await run.until(lambda: run.app.current_mode == "sales" and run.screen_is_up)
        await run.until(lambda: run.app.visible_screen.current.sale.id == room)


async def test_the_rooms_of_another_cell_are_others():
    async with watched(cells=2) as run:
        await run.show("chat")
        one = set(run.table("#room-rows").keys)
        run.app.select_cell("c2")
        await run.beat(2000)
        await run.until(
            lambda: bool(run.table("#room-rows").keys) and not one & set(run.table("#room-rows").keys)
        )


async def test_a_cell_that_does_not_answer_is_said_so():
    async with watched() as run:
        await run.show("chat")
        run.feed.lose("connection refused")
        await run.press("down")
        await run.until(lambda: "connection refused" in run.text("#chat-head"))


async def test_the_export_is_what_was_said():
    async with watched() as run:
        await in_room(run)
        table = run.app.visible_screen.table()

        assert len(table.rows) == len(run.table("#said-rows").keys)
