"""The unprivileged account an engine runs as when Titan itself runs as root, and what that account can reach."""

import os
import pwd
import subprocess
from pathlib import Path

import msgspec

# Existing accounts only: making one would change the machine beyond what anybody asked for.
CANDIDATES = ("postgres", "nobody")


class Account(msgspec.Struct, frozen=True):
    """A user that an engine's process becomes."""

    name: str
    uid: int
    gid: int

    @property
    def owner(self) -> str:
        return f"{self.uid}:{self.gid}"

    def can_enter(self, folder: Path) -> bool:
        return self._test("-x", folder)

    def can_read(self, file: Path) -> bool:
        return self._test("-r", file)

    def _test(self, flag: str, path: Path) -> bool:
        """Ask the kernel as that user: modes alone would miss access lists and mounts."""
        asked = subprocess.run(
            ["/bin/sh", "-c", 'test "$1" "$2"', "sh", flag, str(path)],
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            cwd="/",
            check=False,
            timeout=10,
            capture_output=True,
        )
        return asked.returncode == 0


def unprivileged() -> Account | None:
    """The account for engines that refuse to run as root; None where Titan does not run as root."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    return None
