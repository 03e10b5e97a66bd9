"""Reading frames, and the tables of codes."""

import pytest

from realtime import protocol
from realtime.channels import ChannelName, channel_name
from realtime.codes import CloseCode, Retry, decode_reason, encode_reason, retry_of
from realtime.packet import text_frame
from realtime.protocol import BadFrame, decode_frame
from tests.unit.realtime.builders import SALE


def bad(frame) -> int:
    with pytest.raises(BadFrame) as caught:
        decode_frame(frame)
    return caught.value.code


def test_an_array_carries_several_commands_and_pongs_say_nothing():
    commands = decode_frame('[{"i":1,"t":"hello"},{},{"i":2,"t":"sub","d":{"ch":"x"}}]')

    assert [(each.i, each.t) for each in commands] == [(1, "hello"), (2, "sub")]


@pytest.mark.parametrize("frame", ("{}", "[]", "[{},{}]"))
def test_a_pong_is_no_command(frame):
    assert decode_frame(frame) == []


def test_unknown_fields_are_ignored():
    assert decode_frame('{"i":1,"t":"sub","zz":[1,{"a":2}],"d":{}}')[0].t == "sub"


@pytest.mark.parametrize(
    "frame",
    (
        "",
        "null",
        "7",
        '"hello"',
        "{",
        "[1]",
        "[[]]",
        '{"i":1}',
        '{"t":"sub"}',
        '{"i":"1","t":"sub"}',
        '{"i":1.5,"t":"sub"}',
        '{"i":1,"t":7}',
        "\ud800",
        "[" * 9000,
        '{"a":' * 3000,
        b'{"i":1,"t":"hello"}',
    ),
    ids=range(16),
)
def test_what_is_no_frame_of_this_protocol_is_bad(frame):
    assert bad(frame) == CloseCode.BAD_FRAME


def test_nesting_is_limited_exactly_and_brackets_in_strings_do_not_count():
    deepest = '{"i":1,"t":"x","d":' + "[" * (protocol.MAX_DEPTH - 1) + "]" * (protocol.MAX_DEPTH - 1) + "}"
    deeper = '{"i":1,"t":"x","d":' + "[" * protocol.MAX_DEPTH + "]" * protocol.MAX_DEPTH + "}"
    quoted = '{"i":1,"t":"x","d":"' + '[{\\"' * 100 + '"}'

    assert len(decode_frame(deepest)) == 1
    assert bad(deeper) == CloseCode.BAD_FRAME
    assert len(decode_frame(quoted)) == 1


def test_a_frame_is_measured_in_bytes_and_16_kib_is_still_allowed():
    envelope = '{"i":1,"t":"x","d":"%s"}'
    room = protocol.MAX_FRAME_BYTES - len(envelope % "")

    assert len(decode_frame(envelope % ("a" * room))) == 1
    assert bad(envelope % ("a" * (room + 1))) == CloseCode.TOO_BIG
    assert bad(envelope % ("é" * (room // 2 + 1))) == CloseCode.TOO_BIG
    assert bad(b"\0" * (protocol.MAX_FRAME_BYTES + 1)) == CloseCode.TOO_BIG


def test_every_close_code_says_by_its_range_whether_to_come_back():
    codes = {name: code for name, code in vars(CloseCode).items() if isinstance(code, int)}
    for name, code in codes.items():
        expected = (
            Retry.REFRESH if name == "TOKEN_EXPIRED" else Retry.RESUME if 4000 <= code < 4100 else Retry.STOP
        )

        assert retry_of(code) is expected, name


@pytest.mark.parametrize("code", (1005, 1006, 1009, 1011, 1012, 3000))
def test_a_close_outside_the_table_is_a_lost_connection(code):
    assert retry_of(code) is Retry.RESUME


def test_a_close_reason_survives_the_wire_and_a_foreign_one_says_nothing():
    assert decode_reason(encode_reason(1500)).retry_ms == 1500
    assert decode_reason(encode_reason(None)).retry_ms is None
    assert decode_reason("going away").retry_ms is None
    assert decode_reason("[" * 120).retry_ms is None


@pytest.mark.parametrize(
    "name",
    (
        "sale:",
        "sale:x",
        "chat:" + SALE,
        "me:" + SALE,
        "room",
        SALE,
        "sale:" + SALE + ".*",
        "sale:usr" + SALE[3:],
    ),
)
def test_a_name_that_cannot_be_a_channel_is_none(name):
    assert channel_name(name) is None


def test_a_channel_name_survives_being_taken_apart():
    assert str(channel_name(f"sale:{SALE}")) == f"sale:{SALE}"
    assert str(channel_name("me", "usr_1")) == "me"
    assert channel_name("me", "usr_1") == ChannelName("me", "usr_1")
    assert ChannelName("me", "usr_1").key == "me:usr_1"


@pytest.mark.parametrize("size", (0, 125, 126, 65_535, 65_536))
def test_a_text_frame_has_the_header_of_rfc_6455(size):
    from websockets.frames import Frame, Opcode  # noqa: PLC0415 - the reference implementation

    payload = b"x" * size

    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
