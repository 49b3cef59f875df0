"""Generated pages and locks are current, and a release is refused if its parts disagree."""

from __future__ import annotations

import pytest

from tools import reference_pages, release_check, schema_notes
from tvdb_assets.repositories.database import Database
from tvdb_assets.settings import Settings


@pytest.mark.parametrize("name", reference_pages.PAGES)
def test_a_page_is_current(name: str) -> None:
    text = (reference_pages.DOCS / name).read_text(encoding="utf-8")
    assert text == reference_pages.PAGES[name](), "run `make reference`"


def test_the_page_of_the_schema_is_current(database: Database) -> None:
    text = (reference_pages.DOCS / "database.md").read_text(encoding="utf-8")
    page = reference_pages.schema_page(database)
    assert text == page, "run `make reference`"
    unused = {*schema_notes.TABLES, *schema_notes.VIEWS} - {
        line.removeprefix("### ").strip("`") for line in page.splitlines() if line[:4] == "### "
    }
    assert not unused, "these tables and views do not exist"


def test_every_setting_has_a_group_and_a_meaning() -> None:
    assert sorted(reference_pages.grouped_settings()) == sorted(Settings.model_fields)
    assert "|  |" not in reference_pages.settings_page()


def test_the_changelog_lists_every_renamed_name() -> None:
    changelog = (reference_pages.DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    rows = [line for line in changelog.splitlines() if line.startswith("| ")]
    missing = [
        rename
        for rename in reference_pages.deprecated_names()
        if not any(f"`{rename.old}` | `{rename.new}`" in row for row in rows)
    ]
    assert not missing, "add them to the table of renamed names in CHANGELOG.md"


_PYPROJECT = '[project]\nname = "tvdb-assets"\nversion = "1.2.0"\n'


@pytest.mark.parametrize(
    ("tag", "changelog", "problems"),
    [
        ("v1.2.0", "# Changelog\n\n## 1.2.0 (2026-03-01)\n", 0),
        ("v1.2.1", "# Changelog\n\n## 1.2.0 (2026-03-01)\n", 1),
        ("v1.2.0", "# Changelog\n\n## 1.2.0 (unreleased)\n", 1),
        ("v1.2.0", "# Changelog\n\n## 1.1.0 (2026-01-01)\n", 1),
        ("1.2.0", "# Changelog\n", 2),
    ],
)
def test_a_release_needs_one_version_everywhere(tag: str, changelog: str, problems: int) -> None:
    assert len(release_check.problems_of(tag, _PYPROJECT, changelog)) == problems


def test_locks_name_versions_and_hashes_but_no_registry() -> None:
    locks = sorted(reference_pages.DOCS.parent.glob("requirements*.lock"))
    assert len(locks) == 3
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text
        assert "://" not in text and "--index-url" not in text
