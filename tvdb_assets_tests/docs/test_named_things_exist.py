"""The documentation names and links only what exists: files, code, settings, commands, tables."""

from __future__ import annotations

import ast
import builtins
import re
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tools import schema_notes
from tvdb_assets.cli import tvdb
from tvdb_assets.deprecation import OPTIONS, SETTINGS
from tvdb_assets.settings import Settings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tvdb_assets"
TESTS = ROOT / "tvdb_assets_tests"
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "demo" / "README.md")
    # The changelog and the deprecation policy list names that are gone.
    if path.name not in {"CHANGELOG.md", "deprecation.md"}
)
_FOREIGN = frozenset({"BackfillPolicy", "Decimal", *dir(builtins)}) | {
    # Codes of embedding servers.
    *("ExceededBudget", "DeploymentNotFound", "DataInspectionFailed"),
}
"""Classes of Dagster and Python."""
_PATH = re.compile(r"[\w.-]*(?:/[\w.-]+)*/?")
_ENDINGS = (".py", ".sql", ".md", ".toml", ".yaml", ".yml", ".lock", "/")
_DOTTED = re.compile(r"tvdb_assets(?:\.\w+)+")
_CLASS = re.compile(r"_?[A-Z][a-z0-9]+(?:[A-Z][A-Za-z0-9]*)+(?:\.(\w+))?|[A-Z][a-z]+\.(\w+)")
_SETTING = re.compile(r"\bTVDB_[A-Z][A-Z_]*[A-Z]\b")
_COMMAND = re.compile(r"(?:(?<=\.venv/bin/)|(?<=`))tvdb ([a-z][a-z-]+)")
_TARGET = re.compile(r"`make ([a-z ]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [span for span in _code_spans(text) if not _exists(span, page)]
    missing += [name for name in _SETTING.findall(text) if name not in _settings()]
    missing += [f"tvdb {name}" for name in _COMMAND.findall(text) if name not in tvdb.commands]
    missing += [
        f"make {name}"
        for names in _TARGET.findall(text)
        for name in names.split()
        if name not in _make_targets()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_links_to_what_exists(page: Path) -> None:
    missing = []
    for target in _links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        if not linked.exists() or (anchor and anchor not in _anchors(linked)):
            missing.append(target)
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_examples_import_what_exists(page: Path) -> None:
    for code in _blocks(page.read_text(encoding="utf-8"), "python"):
        for statement in ast.walk(ast.parse(code)):
            if isinstance(statement, ast.ImportFrom) and statement.module:
                module = import_module(statement.module)
                for alias in statement.names:
                    assert hasattr(module, alias.name), f"{statement.module}.{alias.name}"
            elif (
                isinstance(statement, ast.Attribute)
                and isinstance(statement.value, ast.Name)
                and statement.value.id == "tvdb_assets"
            ):
                assert hasattr(import_module("tvdb_assets"), statement.attr)


def test_options_in_examples_exist() -> None:
    unknown = []
    for page in PAGES:
        for line in _command_lines(page.read_text(encoding="utf-8")):
            name, *rest = line.split()
            command = tvdb.commands.get(name)
            known = {option for each in command.params for option in each.opts} if command else ()
            unknown += [
                f"{page.name}: tvdb {line}"
                for word in rest
                if word.startswith("--") and word not in known and word not in OPTIONS
            ]
    assert not unknown


def _exists(span: str, page: Path) -> bool:
    if match := _DOTTED.fullmatch(span):
        return _is_importable(match[0])
    if span.startswith("tvdb.") and span.count(".") == 1:
        # A table, a view, a function of the database, or the name of a metric.
        return span[5:] in {*schema_notes.TABLES, *schema_notes.VIEWS} or span in _source()
    if span.endswith(_ENDINGS) and "/" in span.rstrip("/") + "/" and _PATH.fullmatch(span):
        if span.startswith((".", "/")) and not span.startswith((".github", ".pre-commit")):
            return True
        if any((base / span).exists() for base in (ROOT, PACKAGE, TESTS, page.parent)):
            return True
        # A file of the package that is named without its folder, or a document of the demo.
        return (span.count("/") == 0 and any(PACKAGE.rglob(span))) or _is_of_the_demo(span)
    if match := _CLASS.fullmatch(span):
        owner, _, member = span.partition(".")
        if owner in _FOREIGN:
            return True
        classes = _classes()
        return owner in classes and (not member or member in classes[owner])
    return True


def _is_of_the_demo(span: str) -> bool:
    return any((ROOT / "demo" / folder / span).exists() for folder in ("", "documents"))


def _is_importable(name: str) -> bool:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@cache
def _classes() -> dict[str, set[str]]:
    """Names of the members of each class of the package or of its tests, inherited ones too."""
    found: dict[str, set[str]] = {}
    bases: dict[str, list[str]] = {}
    for path in (*PACKAGE.rglob("*.py"), *TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                members = found.setdefault(node.name, set())
                bases.setdefault(node.name, []).extend(
                    base.id for base in node.bases if isinstance(base, ast.Name)
                )
                for inner in ast.walk(node):
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                        members.add(inner.name)
                    elif isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                        members.add(inner.target.id)
                    elif isinstance(inner, ast.Attribute):
                        members.add(inner.attr)
    for name, members in found.items():
        for base in bases[name]:
            members |= found.get(base, set())
    return found


@cache
def _source() -> str:
    """The text of all modules and statements of the package."""
    paths = (*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.sql"))
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


@cache
def _settings() -> set[str]:
    return {f"TVDB_{name.upper()}" for name in Settings.model_fields} | set(SETTINGS)


@cache
def _make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z]+):", text, re.MULTILINE))


@cache
def _tokens(text: str) -> tuple[Token, ...]:
    return tuple(MarkdownIt("commonmark").enable("table").parse(text))


def _code_spans(text: str) -> list[str]:
    return [
        child.content
        for token in _tokens(text)
        for child in token.children or ()
        if child.type == "code_inline"
    ]


def _links(text: str) -> list[str]:
    return [
        str(child.attrs["href" if child.type == "link_open" else "src"])
        for token in _tokens(text)
        for child in token.children or ()
        if child.type in ("link_open", "image")
    ]


def _blocks(text: str, language: str) -> list[str]:
    return [t.content for t in _tokens(text) if t.type == "fence" and t.info == language]


def _command_lines(text: str) -> list[str]:
    return [
        line.partition("#")[0].partition("tvdb ")[2]
        for block in _blocks(text, "sh")
        for line in block.splitlines()
        if line.startswith(".venv/bin/tvdb ")
    ]


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as both the site and a repository's page make them."""
    tokens = _tokens(page.read_text(encoding="utf-8"))
    titles = [
        "".join(child.content for child in token.children or () if child.content)
        for before, token in pairwise(tokens)
        if before.type == "heading_open"
    ]
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", t).strip().lower()) for t in titles}


def test_workflows_and_hooks_call_what_exists() -> None:
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob(".github/workflows/*.yml")]
    assert len(texts) == 3
    targets = {name for text in texts for name in re.findall(r"\bmake ([a-z]+) PYTHON", text)}
    assert targets == {"test", "coverage", "docs", "package"} and targets <= _make_targets()
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    for tool in ("ruff", "mypy", "lint-imports"):
        assert f".venv/bin/{tool}" in hooks
    # What a job downloads must be what another one uploads.
    assert all("name: dist" in text for text in texts)


def test_architecture_explains_every_package_and_module() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = [
        f"{path.name}/" if path.is_dir() else path.name
        for path in PACKAGE.iterdir()
        if path.name[0] not in "._" and path.suffix in ("", ".py")
    ]
    assert not [name for name in names if f"`{name}`" not in text]
