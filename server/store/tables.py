"""Where each projection stands."""

from piccolo.columns import BigInt, Text
from piccolo.table import Table

from server.store.engine import DB


class Checkpoint(Table, tablename="checkpoint", db=DB):
    """Written in the transaction of the rows it stands for. `hash` is the SHA-256 of the commit at `position`."""

    name = Text(primary_key=True)
    epoch = Text()
    position = BigInt()
    hash = Text()
