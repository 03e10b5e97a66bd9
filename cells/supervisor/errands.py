"""Runs migrations and seeds in processes of their own."""

import asyncio
import os
import sys

import msgspec

from cells.parentage import PARENT_VARIABLE
from cells.supervisor.output import LogFile, printable
from cells.supervisor.task import Result
from cells.trouble import Trouble


async def run(target: str, environment: dict[str, str], log: LogFile, deadline: float) -> Result:
    """The errand's result. Raises Trouble with the end of its output where it fails or takes longer."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "cells.supervisor.task", target),
        env={**environment, PARENT_VARIABLE: str(os.getpid())},
        cwd="/",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(deadline):
            output, errors = await process.communicate()
    except BaseException as error:
        process.kill()
        if isinstance(error, TimeoutError):
            raise Trouble(f"{target} took longer than {deadline:.0f} s.", "", "titan logs tasks") from None
        raise
    log.write(errors)
    if process.returncode != 0:
        last = errors.decode(errors="replace").strip().splitlines()[-4:]
        raise Trouble(
            f"{target} failed.", "\n".join(printable(line)[:300] for line in last), "titan logs tasks"
        )
    try:
        return msgspec.json.decode(output, type=Result)
    except msgspec.DecodeError as error:
        raise Trouble(f"{target} gave no result.", str(error), "titan logs tasks") from error
