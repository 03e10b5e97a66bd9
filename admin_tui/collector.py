"""The garbage collector of a dashboard that takes in hundreds of frames a second."""

import gc
from typing import Final

# Frames hold no cycles and go without it: at the usual 700 objects it is a tenth of the processor time, in vain. What
# a collection takes depends on what lives, which is the same at any threshold: about as long as drawing a picture.
THRESHOLDS: Final = (200_000, 20, 100)


def calm() -> None:
    """Collect seldom from now on, and never look again at what there is already."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
