"""The comparison of a listing with the known documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets import error_codes as codes
from tvdb_assets.core.source_comparison import SourceDifference, compare
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.models import SourceFile
from tvdb_assets.repositories.document_registry import ListedDocument

_NAMES = st.sampled_from([f"{letter}.md" for letter in "abcdefgh"])
_ETAGS = st.sampled_from(["1", "2"])


def difference(
    listed: dict[str, str], known: dict[str, ListedDocument], *, is_whole: bool = False
) -> SourceDifference[ListedDocument]:
    files = [SourceFile(path, 1, etag) for path, etag in listed.items()]
    return compare(files, known, root="/s", is_whole=is_whole)


@given(st.dictionaries(_NAMES, _ETAGS), st.dictionaries(_NAMES, st.tuples(_ETAGS, st.booleans())))
def test_each_document_is_in_exactly_one_group(
    listed: dict[str, str], rows: dict[str, tuple[str, bool]]
) -> None:
    known = {p: ListedDocument(i, etag, gone) for i, (p, (etag, gone)) in enumerate(rows.items())}
    found = difference(listed, known)
    assert {f.path for f in found.new} == set(listed) - set(known)
    same = [p for p in listed if p in known and known[p].etag == listed[p]]
    assert found.same == [known[p] for p in same if not known[p].is_gone]
    changed = {p for p in listed if p in known} - {p for p in same if not known[p].is_gone}
    assert {file.path for _, file in found.changed} == changed
    assert found.gone == [row for p, row in known.items() if p not in listed]


def test_a_file_that_is_back_counts_as_changed() -> None:
    found = difference({"a.md": "1"}, {"a.md": ListedDocument(7, "1", is_gone=True)})
    assert [known.document_id for known, _ in found.changed] == [7]


def test_a_recently_written_file_waits_for_the_next_scan() -> None:
    files = [SourceFile("new.md", 1, "1", 100.0), SourceFile("old.md", 1, "1", 100.0)]
    known = {"old.md": ListedDocument(1, "1", is_gone=False)}
    found = compare(files, known, root="/s", is_whole=True, written_before=99.0)
    assert (found.new, found.changed, found.unsettled) == ([], [], 1)
    assert found.gone == []
    found = compare(files, known, root="/s", is_whole=True, written_before=100.0)
    assert [file.path for file in found.new] == ["new.md"]


def test_an_unreadable_file_is_a_new_document() -> None:
    refused = codes.UNREADABLE.error().about("secret.md")
    [file] = compare([refused], {}, root="/s", is_whole=True).new
    assert (file.path, file.etag) == ("secret.md", "refused:unreadable")


def test_a_source_that_lost_every_document_is_an_error() -> None:
    known = {"a.md": ListedDocument(1, "1", is_gone=False)}
    with pytest.raises(ConfigurationError, match="contains no documents"):
        difference({}, known, is_whole=True)
    assert difference({}, known).gone == [known["a.md"]]
    assert difference({}, {"a.md": ListedDocument(1, "1", is_gone=True)}, is_whole=True).gone
