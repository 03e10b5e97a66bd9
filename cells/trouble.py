"""The one exception that reaches a person at the terminal."""

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3


class Trouble(Exception):  # noqa: N818 - it is shown as a sentence and not as an error class
    """Says what is wrong, why, and the command that mends it; the command line prints it and nothing else."""

    def __init__(self, what: str, why: str = "", mend: str = "", *, code: int = EXIT_FAILED) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.mend = mend
        self.code = code

    def __str__(self) -> str:
        parts = [self.what]
        if self.why:
            parts.append(f"  why:  {self.why}")
        if self.mend:
            parts.append(f"  mend: {self.mend}")
        return "\n".join(parts)
