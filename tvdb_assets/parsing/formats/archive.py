"""ZIP archives: each file inside is a separate document.

What belongs here: which members are read. What does not: documents that are ZIP archives
themselves (`formats.docx` and others), limits (`parsing.container_members`). Nothing is unpacked
to disk.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial

from tvdb_assets.parsing.base_parser import THIS_PACKAGE, BaseParser
from tvdb_assets.parsing.format_protocol import ContainerEntry
from tvdb_assets.parsing.parse_errors import corrupt, encrypted

_DOCUMENT_KIND = "ZIP archive"
_SYSTEM_FILES = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


class Archive(BaseParser):
    """Lists files in the archive's order; skips folders, links and system files."""

    media_types = frozenset({"application/zip"})
    name = "ZIP archive"
    service = THIS_PACKAGE
    preserved = "every file, as a separate document"
    not_preserved = "links, system files"

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The files of an archive."""
        try:
            archive = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, OSError, ValueError, EOFError):
            raise corrupt(_DOCUMENT_KIND, "its directory can't be read") from None
        with archive:
            for file in archive.infolist():
                name = file.filename.replace("\\", "/")
                if not (file.filename.endswith("/") or _is_link(file) or _is_system(name)):
                    yield ContainerEntry(name, partial(_read, archive, file))


def _read(archive: zipfile.ZipFile, file: zipfile.ZipInfo, max_bytes: int) -> bytes:
    if file.flag_bits & 1:
        raise encrypted("file in the archive")
    try:
        with archive.open(file) as stream:
            # A directory can lie about sizes, so only the bytes that come out count.
            return stream.read(max_bytes + 1)
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError),
        *(NotImplementedError, ValueError, KeyError),
    ):
        raise corrupt("file in the archive", "it can't be unpacked") from None


def _is_link(member: zipfile.ZipInfo) -> bool:
    mode = member.external_attr >> 16
    return stat.S_IFMT(mode) not in {0, stat.S_IFREG}


def _is_system(name: str) -> bool:
    return name.startswith(_SYSTEM_FILES) or name.rpartition("/")[2] in _SYSTEM_FILES


CONTAINER = Archive()
