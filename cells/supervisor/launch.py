"""`python -m cells.supervisor.launch UID:GID NICENESS COMMAND…`: becomes the command, bound to its parent's life.

Engines are not ours and cannot arm the parent's death signal themselves. `-` instead of UID:GID keeps the user.
"""

import os
import sys

from cells.parentage import die_with_parent


def main(arguments: list[str]) -> None:
    owner, niceness, *command = arguments
    os.nice(int(niceness))
    if owner != "-":
        uid, _, gid = owner.partition(":")
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
        if os.getuid() == 0 or os.getgroups():
            raise SystemExit("privileges could not be dropped")
    die_with_parent()  # after the change of user, which would clear it
    os.execv(command[0], command)  # noqa: S606 - that is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
