"""Names of the log's subjects: `log.<slot, 3 hex digits>.<kind>.<id>`."""

STREAM = "LOG"
EVERYTHING = "log.>"


def subject(slot: int, kind: str, key: str) -> str:
    """Return the subject of one aggregate."""
    return f"log.{slot:03x}.{kind}.{key}"


def of_kind(kind: str) -> str:
    """Return the filter for all aggregates of a kind."""
    return f"log.*.{kind}.*"


def stored(pattern: str) -> str:
    """Return where the server tells that it stored a message of this subject, or of these subjects."""
    return f"stored.{pattern.removeprefix('log.')}"


def split(name: str) -> tuple[int, str, str]:
    """Return slot, kind and key of a subject."""
    _, slot, kind, key = name.split(".", 3)
    return int(slot, 16), kind, key


def matches(pattern: str, name: str) -> bool:
    """Tell whether a subject is selected by a filter with the wildcards `*` (one token) and `>` (the rest)."""
    wanted, have = pattern.split("."), name.split(".")
    for i, part in enumerate(wanted):
        if part == ">":
            return len(have) > i
        if i >= len(have) or part not in ("*", have[i]):
            return False
    return len(wanted) == len(have)
