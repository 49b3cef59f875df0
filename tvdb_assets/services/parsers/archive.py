"""ZIP archives: each file inside as a section of one document.

What belongs here: which members are read. What does not: documents that are archives
themselves (`docx` and others), budgets (`nested`). Nothing is unpacked to disk.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib

from tvdb_assets.models import ParsedDocument
from tvdb_assets.services.parsers.assemble import make
from tvdb_assets.services.parsers.base import OURS, BaseParser
from tvdb_assets.services.parsers.nested import Sections, budget
from tvdb_assets.services.parsers.refusals import corrupt, empty

_WHAT = "ZIP archive"
_SYSTEM_FILES = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


class ArchiveParser(BaseParser):
    """Files in the archive's order; links and system files are passed over."""

    media_types = frozenset({"application/zip"})
    name = "ZIP archive"
    service = OURS
    kept = "every file that can be parsed, as a section under its name"
    lost = "pages and titles of its files; for now it is one document, not many"

    @property
    def fingerprint(self) -> str:
        from tvdb_assets.services.parsers import all_parsers

        others = sorted(p.fingerprint for p in all_parsers() if not isinstance(p, ArchiveParser))
        return f"{super().fingerprint}:{':'.join(others)}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse an archive within the limits for all that it holds."""
        sections = Sections("files")
        damaged = files = 0
        with budget(_WHAT) as left:
            try:
                archive = zipfile.ZipFile(io.BytesIO(data))
            except (zipfile.BadZipFile, OSError, ValueError, EOFError):
                raise corrupt(_WHAT, "its directory can't be read") from None
            with archive:
                for member in archive.infolist():
                    name = member.filename.replace("\\", "/")
                    if member.is_dir() or _is_link(member) or _is_system(name):
                        continue
                    left.open_member(_WHAT)
                    files += 1
                    try:
                        with archive.open(member) as stream:
                            # One more than is left, to see that it does not fit.
                            content = stream.read(left.bytes + 1)
                    except (
                        *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError),
                        *(NotImplementedError, ValueError, KeyError),
                    ):
                        damaged += 1
                        continue
                    left.spend(len(content), _WHAT)
                    sections.add(name, content)
        if not sections.parts:
            if sections.last_error is not None:
                raise sections.last_error
            if damaged:
                raise corrupt(_WHAT, "its files can't be unpacked")
            raise empty("The archive")
        notes = sections.notes()
        if damaged:
            notes += (f"{damaged} files are damaged or locked",)
        return make(
            ["\n\n".join(sections.parts)],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="sections",
            notes=notes,
            facts={"files": files, "files_parsed": len(sections.parts)},
        )


def _is_link(member: zipfile.ZipInfo) -> bool:
    mode = member.external_attr >> 16
    return stat.S_IFMT(mode) not in {0, stat.S_IFREG}


def _is_system(name: str) -> bool:
    return name.startswith(_SYSTEM_FILES) or name.rpartition("/")[2] in _SYSTEM_FILES


PARSER = ArchiveParser()
