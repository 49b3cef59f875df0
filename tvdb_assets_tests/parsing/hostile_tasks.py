"""Tasks of a worker that was taken over: they stand for native code that runs in a parser."""

from __future__ import annotations

import os
import struct
import sys


def reply_with(message: bytes) -> int:
    """Replace the function that frames the replies, so that the parent reads ``message``."""
    sys.modules["__main__"].pack = lambda _replies: message  # type: ignore[attr-defined]
    return 1


def flood(announced: int) -> int:
    """Announce a reply of so many bytes, and write until the parent stops reading."""
    descriptor = int(sys.argv[1])
    os.write(descriptor, struct.pack("!iQ", -1, announced))
    block = bytes(1 << 20)
    for _ in range(announced >> 20):
        os.write(descriptor, block)
    return 1
