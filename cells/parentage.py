"""No process outlives its supervisor: the kernel is asked to kill it when the parent dies."""

import ctypes
import os
import signal
import sys

PARENT_VARIABLE = "TITAN_PARENT_PID"
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Arm SIGKILL for the parent's death; exits at once where the parent is dead already.

    The kernel forgets the request when the process changes its user, so call it after that.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    expected = os.environ.pop(PARENT_VARIABLE, None)
    # The parent may have died between the fork and the call above: then nobody would ever send the signal.
    if expected is not None and os.getppid() != int(expected):
        os._exit(1)
