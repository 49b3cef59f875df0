"""Reading ``multipart/form-data``, as far as the official clients write it.

The standard library has no reader for it that keeps a file's bytes as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PARAMETER = re.compile(r';\s*(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    filename: str | None
    content: bytes


def read_parts(content_type: str, body: bytes) -> dict[str, Part]:
    """The parts by name.

    Raises:
        ValueError: It is not such a form.
    """
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if not content_type.lower().startswith("multipart/form-data") or not found:
        raise ValueError("not multipart/form-data with a boundary")
    mark = b"--" + found[1].encode("latin-1")
    parts: dict[str, Part] = {}
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ValueError("the form does not end")
    for piece in pieces[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        for line in head.decode("utf-8", "replace").split("\r\n"):
            label, _, value = line.partition(":")
            if label.strip().lower() == "content-disposition":
                given = dict(_PARAMETER.findall(value))
                parts[given["name"]] = Part(given["name"], given.get("filename"), content)
    return parts
