"""The keys of the modes."""

from typing import Final

MODE_KEYS: Final = {
    "overview": "f1",
    "sales": "f2",
    "orders": "f3",
    "chat": "f4",
    "log": "f5",
    "health": "f6",
    "cell": "f7",
}
