"""The register of error codes is complete, and no other module contains a code.

What belongs here: the register, the generated page, and the use of codes in the source. What does
not: the behaviour of errors (`test_errors`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tvdb_assets
from tvdb_assets import error_codes, error_reference, errors
from tvdb_assets.errors import Disposition, ErrorCode, TvdbError

PACKAGE = Path(tvdb_assets.__file__).parent
TESTS = Path(__file__).parent
PAGE = PACKAGE.parent / "docs" / "errors.md"
ENTRIES = {name: entry for name, entry in vars(error_codes).items() if isinstance(entry, ErrorCode)}
REGISTERED = {entry.code for entry in ENTRIES.values()}
MADE_BY_THE_REGISTER = {"ErrorCode"} | {
    name
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, TvdbError)
}
OTHER_MEANINGS = {
    "paused": "a key of the JSON output",
    "container": "a value of tvdb.documents.quarantine",
    "members_failed": "a key of metadata",
    "pages_failed": "a key of a document's facts",
    "encrypted": "a word in a message of xlrd",
    "model_not_found": "a code of the services, which is mapped to ours",
    "cancelled": "a state of a job at its service",
}
"""Strings that equal a code but have another meaning; they must not be compared with codes."""
FOREIGN_CODES = {"answered", "invalid_api_key", "model_not_found"}
"""Codes of the simulated services, and outcomes, that tests compare with a ``.code``."""
_PRIVATE_WORDS = re.compile(
    r"\b(told|mend|anew|beside|dearest|stand-in|goes on|go on|by itself|of its own|whoever|walk)\b"
)
_CODE_NAMES = {"code", "error_code", "failed_code"}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_every_entry_makes_an_error_that_says_cause_and_remedy(entry: ErrorCode[TvdbError]) -> None:
    fields = dict.fromkeys(entry.fields, 7)
    error = entry.error(**fields)

    assert type(error) is entry.error_class
    assert error.code == entry.code
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert isinstance(error.disposition, Disposition)
    for sentence in (error.message, error.remedy, entry.meaning):
        assert len(sentence) >= 1
        assert "{" not in sentence
        assert not _PRIVATE_WORDS.search(sentence), sentence
    assert error.remedy.endswith((".", "?"))
    assert entry.meaning.endswith(".")
    assert str(error).startswith(f"[{entry.code}] {error.message} {error.remedy}")
    for wrong in ({**fields, "surplus": 1}, dict(list(fields.items())[1:]) or {"surplus": 1}):
        with pytest.raises(TypeError, match=entry.code):
            entry.error(**wrong)


def test_a_code_has_one_entry_and_else_variants_with_its_meaning() -> None:
    meanings: dict[str, str] = {}
    for entry in error_codes.all_codes():
        assert meanings.setdefault(entry.code, entry.meaning) == entry.meaning
    assert len(set(meanings.values())) == len(meanings), "two codes mean the same"
    assert error_codes.RECORDED_ONLY <= REGISTERED


def test_the_page_is_the_one_of_the_register() -> None:
    assert PAGE.read_text(encoding="utf-8") == error_reference.page(), "run make errors"
    assert set(re.findall(r"^\| `(\w+)`", error_reference.page(), re.M)) == REGISTERED


def test_an_error_without_a_registered_code_cannot_be_made() -> None:
    for error_class in (TvdbError, errors.ParseError):
        with pytest.raises((AttributeError, TypeError)):
            error_class("a_code", {})  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            error_class("a_code", "It broke.", remedy="Fix it.")  # type: ignore[arg-type,call-arg]


def sources(root: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(root.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def strings(tree: ast.AST) -> Iterator[ast.Constant]:
    """String literals, without docstrings."""
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        is_string = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_string and id(node) not in documentation:
            yield node


def _is_code(node: ast.AST) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr in _CODE_NAMES) or (
        isinstance(node, ast.Name) and node.id in _CODE_NAMES - {"code"}
    )


def compared(tree: ast.AST) -> Iterator[ast.Constant]:
    """String literals that are compared with a code, also as a part of a tuple."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for side in sides:
            others = [other for other in sides if other is not side]
            if _is_code(side):
                for other in others:
                    yield from strings(other)
            elif isinstance(side, ast.Tuple):
                places = [at for at, part in enumerate(side.elts) if _is_code(part)]
                for other in others:
                    if isinstance(other, ast.Tuple) and len(other.elts) == len(side.elts):
                        for at in places:
                            yield from strings(other.elts[at])


def test_no_code_is_a_literal_outside_of_the_register() -> None:
    found = []
    for path, tree in sources(PACKAGE):
        if path.parent == PACKAGE / "error_codes":
            continue
        for node in strings(tree):
            text = str(node.value)
            quoted = set(re.findall(r"'([a-z_]+)'", text)) & REGISTERED
            is_code = text in REGISTERED and text not in OTHER_MEANINGS
            if is_code or quoted:
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {text!r}")
        found += [
            f"{path.relative_to(PACKAGE)}:{node.lineno}: compares {node.value!r}"
            for node in compared(tree)
            if isinstance(node.value, str)
        ]
    assert not found, "use the entry of tvdb_assets.error_codes:\n" + "\n".join(found)


def test_errors_are_made_by_the_register_alone() -> None:
    found = []
    for path, tree in sources(PACKAGE):
        if path == PACKAGE / "errors.py" or path.parent == PACKAGE / "error_codes":
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else ""
            name = called.id if isinstance(called, ast.Name) else name
            # An error is restored with its original code, never with a chosen one.
            is_chosen = any([*strings(code), *_entries(code)] for code in node.args[:1])
            is_forged = name == "restored" and is_chosen
            if name in MADE_BY_THE_REGISTER or is_forged or name == "variant":
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {name}")
    assert not found, "raise codes.NAME.error(...) instead:\n" + "\n".join(found)


def raised(tree: ast.AST) -> Iterator[tuple[ast.Call, list[str]]]:
    """Calls of `ErrorCode.error`, with the names of their possible codes."""
    chosen: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            chosen.setdefault(node.targets[0].id, []).extend(_entries(node.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value
            names = _entries(of) or (chosen.get(of.id, []) if isinstance(of, ast.Name) else [])
            if node.func.attr == "error" and names:
                yield node, names


def _entries(node: ast.AST) -> list[str]:
    return [
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute)
        and isinstance(part.value, ast.Name)
        and part.value.id in ("codes", "error_codes")
        and part.attr.isupper()
    ]


def test_each_raise_gives_just_the_fields_of_its_sentences() -> None:
    used: set[str] = set()
    for path, tree in sources(PACKAGE):
        used.update(_entries(tree))
        for call, names in raised(tree):
            given = {keyword.arg for keyword in call.keywords} - {"disposition"}
            for name in names:
                where = f"{path.relative_to(PACKAGE)}:{call.lineno}: {name}"
                assert not call.args, where
                assert given == ENTRIES[name].fields, where
    assert used - {"RECORDED_ONLY"} == set(ENTRIES), "an entry that nobody raises or records"


def test_tests_know_no_code_that_is_not_registered() -> None:
    unknown, known = [], set()
    for path, tree in sources(TESTS):
        if path.name in ("test_errors.py", Path(__file__).name):
            continue
        texts = [str(node.value) for node in compared(tree)]
        for node in strings(tree):
            if "error_code" in str(node.value):
                texts += re.findall(r"error_code\s*(?:=|IN\s*\()\s*'(\w+)'", str(node.value))
        known.update(set(texts) & REGISTERED)
        unknown += [f"{path.name}: {text}" for text in texts if text not in REGISTERED]
    assert not [text for text in unknown if text.split(": ")[1] not in FOREIGN_CODES]
    assert len(known) > 30, "the comparisons of the tests were not found"
