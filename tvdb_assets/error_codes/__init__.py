"""The register of error codes: each with its class, sentences, disposition and meaning.

What belongs here: every code that this package raises, stores, logs or compares. What does not:
the classes (`errors`), a service's own codes (its client maps them to ours), or the page that
is generated from this register (`error_reference`).

To add a code: add one entry to the module of its class, run ``make errors``, commit the page.
Every code is also a name of this package.

Raise it with ``raise codes.NO_INDEX.error()``, or with its fields:
``raise codes.ENCRYPTED.error(what="PDF")``. Compare it with ``error.code == codes.EMPTY.code``.
A second sentence for the same code is an `ErrorCode.variant`. A new code is only for a case that
a program would treat differently. Codes are public: a renamed code needs both names for one
release.

A message states the cause and a remedy says what to do, both in short sentences. Neither may
contain document text or a secret; a field holds a number, a name or a path.
"""

from __future__ import annotations

from typing import Any

from tvdb_assets.error_codes.configuration_codes import *
from tvdb_assets.error_codes.embedding_codes import *
from tvdb_assets.error_codes.interface_codes import *
from tvdb_assets.error_codes.parsing_codes import *
from tvdb_assets.error_codes.run_codes import *
from tvdb_assets.error_codes.service_codes import *
from tvdb_assets.error_codes.source_codes import *
from tvdb_assets.error_codes.storage_codes import *
from tvdb_assets.errors import ErrorCode


def all_codes() -> tuple[ErrorCode[Any], ...]:
    """Every entry; variants follow their first entry."""
    return tuple(entry for entry in globals().values() if isinstance(entry, ErrorCode))
