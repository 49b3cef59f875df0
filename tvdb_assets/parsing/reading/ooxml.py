"""The package of an OOXML file (DOCX, XLSX, PPTX): relationships of parts, and the title.

What belongs here: parts that all OOXML files have. What does not: documents, sheets or slides.
"""

from __future__ import annotations

from tvdb_assets.parsing.reading import safe_xml


def core_title(members: dict[str, bytes]) -> str | None:
    """The title in the file's properties."""
    root = safe_xml.try_read(members.get("docProps/core.xml"))
    return None if root is None else root.findtext("{*}title")


def relations(members: dict[str, bytes], part: str) -> dict[str, tuple[str, str]]:
    """The targets of a part inside of the file: id to kind and member.

    The part ``""`` is the file itself.
    """
    folder, _, name = part.rpartition("/")
    root = safe_xml.try_read(members.get(f"{folder}/_rels/{name}.rels".lstrip("/")))
    found: dict[str, tuple[str, str]] = {}
    for relation in () if root is None else root:
        target = relation.get("Target") or ""
        if relation.get("TargetMode") == "External" or not target:
            continue
        kind = (relation.get("Type") or "").rpartition("/")[2]
        member = member_of_target(folder, target)
        if member not in members:  # the names of parts do not depend on case
            member = next((name for name in members if name.lower() == member.lower()), member)
        found[relation.get("Id") or ""] = (kind, member)
    return found


def member_of_target(folder: str, target: str) -> str:
    """The member for a relative target; it can't be outside of the file."""
    parts = [] if target.startswith("/") else folder.split("/")
    for part in target.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(part for part in parts if part)
