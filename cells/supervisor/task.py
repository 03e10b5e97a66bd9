"""`python -m cells.supervisor.task module:function`: one errand for a cell, `async (CellConfig) -> result`.

A process of its own, so that the supervisor carries neither the imports nor the memory of the errand.
"""

import asyncio
import os
import sys
from typing import Any

import msgspec

from cells import parentage


class Result(msgspec.Struct, frozen=True):
    """What an errand says: a number, and lines for a person."""

    number: int = 0
    lines: list[str] = []


def main(target: str) -> int:
    parentage.die_with_parent()
    # Whatever the errand prints is for the log; the result alone goes to standard output.
    result_to = os.dup(1)
    os.dup2(2, 1)
    from cells import diagnostics  # noqa: PLC0415 - the parent's death signal is armed before slow imports
    from cells.config import load  # noqa: PLC0415 - see above
    from cells.process import resolve  # noqa: PLC0415 - see above
    from cells.trouble import Trouble  # noqa: PLC0415 - see above

    try:
        config = load()
        diagnostics.configure(target.partition(":")[0], config.cell, config.log_level)
        answer: Any = asyncio.run(resolve(target)(config))
    except Trouble as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    result = Result(answer if isinstance(answer, int) else 0, list(getattr(answer, "lines", ())))
    os.write(result_to, msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
