"""What a process that runs for months asks of the C library: not to keep a heap for every thread that ever was."""

import ctypes

_M_ARENA_MAX = -8
"""mallopt(3), glibc."""
_C = ctypes.CDLL(None)


def share_one_heap() -> None:
    """glibc gives threads heaps of their own, up to eight per core, and each keeps what was once used in it. Hundreds
    of short-lived threads, one per device and poll, then cost 60 MB that nobody uses; Python's lock lets only one of
    them allocate at a time anyway. Other C libraries have no such heaps and no such call."""
    if hasattr(_C, "mallopt"):
        _C.mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """What a pass used and nobody needs any more, to the system: a tenth of the whole."""
    if hasattr(_C, "malloc_trim"):
        _C.malloc_trim(0)
