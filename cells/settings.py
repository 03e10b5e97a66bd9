"""Settings: defaults < titan.toml < TITAN_* environment < command line, each value with where it came from."""

import difflib
import re
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from cells.trouble import EXIT_USAGE, Trouble

HOME = Path(__file__).resolve().parents[1]
PREFIX = "TITAN_"
# Between our own processes, for crash tests, and the key of `titan top`.
INTERNAL = frozenset(
    {
        "TITAN_CELL_CONFIG",
        "TITAN_STATUS_FD",
        "TITAN_GATE_FD",
        "TITAN_PARENT_PID",
        "TITAN_ANNOUNCE_FD",
        "TITAN_FAILPOINT",
        "TITAN_KEY",
    }
)
SECRET = frozenset({"nats_url", "redis_url", "database_url"})

Port = Annotated[int, Meta(ge=1, le=65534)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a person can set. A field is `TITAN_<FIELD>` in the environment and `<field>` in titan.toml."""

    data: Annotated[str, Meta(min_length=1, description="folder of the data")] = ".titan"
    host: Annotated[str, Meta(min_length=1, description="address that the API and realtime listen on")] = (
        "127.0.0.1"
    )
    port: Annotated[Port, Meta(description="port of the API; realtime takes the next one if it is free")] = (
        8000
    )
    cells: Annotated[int, Meta(ge=1, description="number of cells")] = 1
    api_workers: Annotated[int, Meta(ge=1, le=64, description="API processes")] = 1
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least severe line that is logged")
    ] = "info"
    rate_limits: Annotated[
        bool, Meta(description="off lifts the rate limits, for load tests on loopback")
    ] = True
    origins: Annotated[
        tuple[str, ...], Meta(description="browser origins that may use the API; empty: its own address")
    ] = ()
    public_api: Annotated[
        str, Meta(description="address of the API as clients see it; empty: host and port")
    ] = ""
    public_realtime: Annotated[str, Meta(description="address of realtime as clients see it")] = ""
    nats_url: Annotated[str, Meta(description="external NATS with JetStream instead of the bundled one")] = ""
    redis_url: Annotated[str, Meta(description="external Redis or Valkey instead of the bundled one")] = ""
    database_url: Annotated[str, Meta(description="external Postgres instead of the bundled one")] = ""
    log_max_bytes: Annotated[
        int, Meta(ge=0, description="most bytes of the log, fixed when it is made; 0: 80 % of the free disk")
    ] = 0
    webhooks_allow_loopback: Annotated[
        bool, Meta(description="on lets webhooks reach this machine, over http too, for development")
    ] = False
    push_contact: Annotated[
        str,
        Meta(
            max_length=200,
            pattern="^((mailto:|https://)[!-~]+)?$",
            description="mailto: or https: address that push services may turn to; empty: the API's own",
        ),
    ] = ""


Source = str
SCHEMES = {
    "nats_url": ("nats", "tls"),
    "redis_url": ("redis", "rediss", "unix"),
    "database_url": ("postgresql", "postgres"),
}


class Resolved(msgspec.Struct, frozen=True):
    """The settings in force, and for every field the source that won."""

    settings: Settings
    sources: dict[str, Source]


def _fields() -> dict[str, Any]:
    return typing.get_type_hints(Settings, include_extras=True)


def _unknown(key: str, where: str, known: list[str], mend: str) -> Trouble:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(sorted(known))}."
    return Trouble(f"{where}: there is no setting {key}.", hint, mend, code=EXIT_USAGE)


def _convert(field: str, raw: object, where: str, *, text: bool) -> Any:
    kind = _fields()[field]
    value = raw
    if text and isinstance(raw, str):
        default = getattr(Settings(), field)
        if isinstance(default, bool):
            value = {"on": "true", "yes": "true", "off": "false", "no": "false"}.get(raw.lower(), raw)
        elif isinstance(default, tuple):
            value = [part.strip() for part in raw.split(",") if part.strip()]
    elif isinstance(raw, str) and raw in {"on", "off"}:
        value = raw == "on"
    try:
        converted = msgspec.convert(value, kind, strict=not text)
    except msgspec.ValidationError as error:
        shown = "a value" if field in SECRET else repr(raw)
        raise Trouble(
            f"{where}: {shown} does not fit the setting {field}.",
            str(error),
            "titan config show",
            code=EXIT_USAGE,
        ) from error
    _check_scheme(field, converted, where)
    return converted


def _check_scheme(field: str, value: object, where: str) -> None:
    if field not in SCHEMES or not value:
        return
    scheme = urlsplit(str(value)).scheme
    if scheme not in SCHEMES[field]:
        known = " or ".join(f"{name}://" for name in SCHEMES[field])
        raise Trouble(
            f"{where}: the address of {field} has to start with {known}",
            f"It starts with {scheme}://." if scheme else "It has no scheme.",
            f"set TITAN_{field.upper()} to an address such as {SCHEMES[field][0]}://host:port",
            code=EXIT_USAGE,
        )


def _from_toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Trouble(f"{path} cannot be read.", str(error), f"correct {path}", code=EXIT_USAGE) from error
    fields = _fields()
    values = {}
    for key, raw in table.items():
        if key not in fields:
            raise _unknown(key, str(path), list(fields), f"correct {path}, then: titan config show")
        values[key] = _convert(key, raw, str(path), text=False)
    if "data" in values:
        values["data"] = str(path.parent / values["data"])
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    names = {PREFIX + field.upper(): field for field in _fields()}
    values = {}
    for key, raw in environment.items():
        if not key.startswith(PREFIX) or key in INTERNAL:
            continue
        if key not in names:
            raise _unknown(key, "environment", list(names), f"unset {key}")
        values[names[key]] = _convert(names[key], raw, key, text=True)
    return values


def load(
    flags: Mapping[str, object] | None = None,
    *,
    environment: Mapping[str, str],
    toml: Path | None = None,
    home: Path = HOME,
) -> Resolved:
    """Resolve the settings. `flags` are the command line's, absent or None where not given.

    The default data folder lies beside the launcher, one of titan.toml beside that file, any other in the working
    directory. Raises Trouble (wrong use) for a key that does not exist or a value that does not fit.
    """
    path = toml or home / "titan.toml"
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    layers: list[tuple[Source, dict[str, Any]]] = [
        (str(path), _from_toml(path)),
        ("environment", _from_environment(environment)),
        ("command line", {key: _convert(key, value, f"--{key}", text=False) for key, value in given.items()}),
    ]
    values: dict[str, Any] = {}
    sources: dict[str, Source] = dict.fromkeys(_fields(), "default")
    for source, layer in layers:
        values.update(layer)
        sources.update(dict.fromkeys(layer, source))
    if sources["data"] == "default":
        values["data"] = str(home / Settings().data)
    values["data"] = str(Path(values["data"]).expanduser().absolute())
    return Resolved(Settings(**values), sources)


def redact(field: str, value: object) -> object:
    """The value as it may be shown: passwords in addresses become `***`."""
    if field not in SECRET or not value:
        return value
    user, separator, rest = str(value).partition("://")[2].rpartition("@")
    scheme = str(value).partition("://")[0]
    rest = re.sub(r"(?<=password=)[^&]+", "***", rest)
    return f"{scheme}://{user.partition(':')[0]}:***@{rest}" if separator else f"{scheme}://{rest}"


def describe(field: str) -> str:
    """One line on what the field means."""
    for meta in reversed(getattr(_fields()[field], "__metadata__", ())):
        if isinstance(meta, Meta) and meta.description:
            return meta.description
    return ""
