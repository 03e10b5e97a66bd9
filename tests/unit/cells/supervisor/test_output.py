"""What the supervisor does with the output of processes."""

import asyncio
import json
import re

import pytest

from cells.supervisor.output import LogFile, Output, printable, warning_in


def line(**fields: str) -> str:
    return json.dumps(fields)


@pytest.mark.parametrize(
    ("text", "expected"),
    (
        (line(level="info", event="fine"), None),
        (line(level="debug", event="fine"), None),
        (line(level="warning", event="slow", reason="the disk"), ("warning", "slow: the disk")),
        (
            line(level="error", event="failed", exception="Traceback\n  x\nKeyError: 1"),
            ("error", "failed: KeyError: 1"),
        ),
        ("Fatal Python error", ("warning", "Fatal Python error")),
        ('{"not": json', ("warning", '{"not": json')),
        ("   ", None),
    ),
)
def test_a_role_is_heard_from_warning_upwards(text, expected):
    assert warning_in(text, ours=True) == expected


@pytest.mark.parametrize(
    ("text", "heard"),
    (
        ("[12] 2026/11/23 14:00:00.1 [WRN] low disk", True),
        ("[12] 2026/11/23 14:00:00.1 [INF] Server is ready", False),
        ("[12] 2026/11/23 14:00:00.1 [WRN] Plaintext passwords detected, use nkeys or bcrypt", False),
        ("12:M 23 Nov 2026 14:00:00.1 # Out Of Memory", True),
        ("12:M 23 Nov 2026 14:00:00.1 * Ready to accept connections", False),
        ("2026-11-23 14:00:00 UTC [12] FATAL:  the database is full", True),
        ("2026-11-23 14:00:00 UTC [12] LOG:  checkpoint complete", False),
    ),
)
def test_an_engine_is_heard_by_its_own_marks(text, heard):
    assert (warning_in(text, ours=False) is not None) is heard


def test_a_log_is_bounded(tmp_path):
    """Given a process that writes for ever, two files of the limit are kept."""
    log = LogFile(tmp_path / "x.log", limit=1000)

    for number in range(100):
        log.write(f"{number:099}\n".encode())
    log.close()

    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["x.log", "x.log.1"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2000
    assert (tmp_path / "x.log.1").read_text().endswith(f"{99:099}\n")


async def test_lines_are_whole_however_they_arrive(tmp_path):
    shown: list[tuple[str, str]] = []
    alarms: list[str] = []
    output = Output(
        tmp_path / "x.log",
        ours=True,
        show=lambda level, text: shown.append((level, text)),
        alarm=(re.compile("second"), alarms.append),
    )
    stream = asyncio.StreamReader()
    written = f"{line(level='error', event='first')}\n{line(level='info', event='second')}\nthird".encode()
    for start in range(0, len(written), 7):
        stream.feed_data(written[start : start + 7])
    stream.feed_eof()

    await output.pump(stream)
    output.close()

    assert shown == [("error", "first"), ("warning", "third")]
    assert len(alarms) == 1
    assert (tmp_path / "x.log").read_bytes() == written
    assert output.explain().splitlines()[-1].strip() == "third"


async def test_a_line_without_end_does_not_fill_the_memory(tmp_path):
    output = Output(tmp_path / "x.log", ours=True, show=lambda _level, _text: None)
    stream = asyncio.StreamReader()
    stream.feed_data(b"x" * 1_000_000)
    stream.feed_eof()

    await output.pump(stream)
    output.close()

    assert len(output.last[0]) <= 16 * 1024


def test_a_log_line_cannot_steer_the_terminal():
    assert printable("a\x1b]52;c;x\x07\u202eb") == "a?]52;c;x??b"
