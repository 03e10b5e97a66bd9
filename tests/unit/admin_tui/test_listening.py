"""From feeds to the app: of each cell the newest is kept, and one message says that there is something."""

import hypothesis.strategies as st
from hypothesis import given
from textual.message import Message
from textual.message_pump import MessagePump

from admin_tui.feed import Heard, Lost, Regained
from admin_tui.listening import FrameArrived, Mailbox, listen
from admin_tui.wire import Frame

CELLS = st.sampled_from(("c1", "c2", "c3"))
HEARD = st.one_of(
    st.builds(Frame, cell=CELLS, position=st.integers(0, 99)), st.builds(Lost, st.text()), st.builds(Regained)
)


class Post(MessagePump):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    def post_message(self, message: Message) -> bool:
        self.messages.append(message)
        return True


class Told:
    """A feed that tells what it was made with, and may break then."""

    cell = url = "c1"

    def __init__(self, *heard: Heard, breaks: bool = False) -> None:
        self.heard = heard
        self.breaks = breaks

    async def frames(self):
        for each in self.heard:
            yield each
        if self.breaks:
            raise RuntimeError("\x1b[31mbroken")


@given(st.lists(st.tuples(CELLS, HEARD)))
def test_of_each_cell_the_newest_frame_and_the_newest_state_are_kept(heard):
    mailbox = Mailbox()
    said = [mailbox.put(cell, each) for cell, each in heard]
    states, frames = mailbox.take()

    assert frames == {cell: each for cell, each in heard if isinstance(each, Frame)}
    assert states == {cell: each for cell, each in heard if not isinstance(each, Frame)}
    assert said == [index == 0 for index in range(len(heard))]
    assert mailbox.take() == ({}, {})


async def test_any_number_of_frames_is_one_message_until_it_is_taken():
    mailbox, post = Mailbox(), Post()
    frames = [Frame("c1", position=position) for position in range(50)]
    await listen(Told(*frames), "c1", mailbox, post)  # type: ignore[arg-type]  # only what is listened to

    assert len(post.messages) == 1
    states, newest = mailbox.take()
    assert newest == {"c1": frames[-1]}
    assert states["c1"] == Lost("the feed ended", final=True)


async def test_a_feed_that_breaks_is_a_lost_cell_and_no_more():
    mailbox, post = Mailbox(), Post()
    await listen(Told(Frame("c1"), breaks=True), "c1", mailbox, post)  # type: ignore[arg-type]  # as above

    states, frames = mailbox.take()
    lost = states["c1"]
    assert isinstance(lost, Lost)
    assert lost.final
    assert "RuntimeError" in lost.why
    assert "c1" in frames


async def test_why_a_cell_is_lost_is_told_once_by_the_feed_itself():
    mailbox, post = Mailbox(), Post()
    await listen(Told(Lost("revoked", final=True)), "c1", mailbox, post)  # type: ignore[arg-type]  # as above

    assert mailbox.take()[0] == {"c1": Lost("revoked", final=True)}


def test_waiting_messages_of_frames_replace_each_other():
    assert FrameArrived().can_replace(FrameArrived())
    assert not FrameArrived().can_replace(Message())
