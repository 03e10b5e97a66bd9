"""What operators may see of an event. PURE. What could be used to get in, or was said in private, is not shown.

A field is hidden by what it is called, so that an event that is added tomorrow shows too little rather than too much.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from server.chat.model import CONVERSATION

HIDDEN: Final = "***"

# Anywhere in the name of a field.
_WORDS: Final = ("password", "token", "secret", "hash", "email")
_NAMES: Final = frozenset({"key", "auth", "p256dh", "endpoint", "body"})
_ADDRESSES: Final = frozenset({"url"})
_PRIVATE: Final = frozenset({(CONVERSATION, "MessagePosted", "text")})


def shown(kind: str, name: str, event: msgspec.Struct) -> dict[str, Any]:
    """Return an event's fields by name, in values that JSON has. `name` is that under which it is stored."""
    return {field: _field(kind, name, field, getattr(event, field)) for field in event.__struct_fields__}


def _field(kind: str, name: str, field: str, value: Any) -> Any:
    if (kind, name, field) in _PRIVATE:
        return f"{len(value)} characters"
    return _value(field, value)


def _value(field: str, value: Any) -> Any:
    """Return a value as it may be shown under the name of its field."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if value is None or isinstance(value, bool):
        return value
    if is_secret(field):
        return HIDDEN
    if field in _ADDRESSES:
        return host_of(str(value))
    return _within(field, value)


def _within(field: str, value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {each: _value(each, getattr(value, each)) for each in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): _value(field, each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(field, each) for each in value]
    return msgspec.to_builtins(value)


def is_secret(field: str) -> bool:
    """Tell whether a field's name says that it holds what nobody may see."""
    return field in _NAMES or any(word in field for word in _WORDS)


def host_of(url: str) -> str:
    """Return where an address leads, without its path: that may be all that guards it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{host}/…"
