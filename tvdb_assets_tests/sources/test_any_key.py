"""Keys of S3 that are no paths: each is listed and read, or fails alone, and hides no other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tvdb_assets.errors import ConfigurationError, SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.sources.s3_server import S3Server, running_s3_server, use_s3_server

KEYS = [
    "a b.md", "ü/ä.md", "plus+sign.md", "per%20cent.md", "per%2Fcent.md", "bad%zz.md", "%",
    "%2E%2E/x", "q?x=1.md", "hash#1.md", "emoji-😀.md", "tab\tname.md", "bell\a.md", "del\x7f.md",
    "cr\r.md",
    "very" + "x" * 900 + ".md", "with'quote\".md", "back\\slash.md", "trail .md", " lead.md",
    "a:b|c*.md", "{id}.md", "[1-2].md", "~tilde.md", "nfd-e\u0301.md", "nfc-\u00e9.md", "a//b.md",
    "a///b.md", "/lead.md", "lead.md", "//lead.md", "folder/text/", "/", "//", "../up.md",
    "./here.md", "x/../y.md", "x/./y.md", "..", ".", "x/..", "^caret`.md", "a&b<c>.md",
    "\x85nel.md", "\u2028line.md", "\ufffe.md", "a=b&c=d", "k;x", "@:!$,()*'", "end.",
    "1/2/3/4/5/6/7/8/9",
]  # fmt: skip
_numbers = count()


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with running_s3_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use_s3_server(server, monkeypatch)


def _bucket(server: S3Server, objects: dict[str, bytes], prefix: str = "") -> Source:
    return Source.open(server.create(f"bucket-{next(_numbers)}", objects) + prefix)


def _check_all_are_read(source: Source, keys: list[str]) -> None:
    listed = list(source.list())
    assert [entry.path for entry in listed if isinstance(entry, SourceFile)] == sorted(keys)
    assert len(listed) == len(keys)
    for file in listed:
        assert isinstance(file, SourceFile)
        assert source.read(file.path, max_bytes=4_000) == file.path.encode()
        assert source.stat(file.path) == file


def test_every_key_is_listed_and_read(server: S3Server) -> None:
    _check_all_are_read(_bucket(server, {key: key.encode() for key in KEYS}), KEYS)


@pytest.mark.parametrize("prefix", ["/a b/ü", "/x//y", "//z%25", "/../w"])
def test_every_key_below_a_prefix_is_listed_and_read(server: S3Server, prefix: str) -> None:
    start = prefix[1:].replace("%25", "%")
    objects = {f"{start}/{key}": key.encode() for key in KEYS}
    objects |= {f"{start}-beside": b"x", "docs.md": b"x", f"{start}": b"x", "y/a": b"x"}
    _check_all_are_read(_bucket(server, objects, prefix), KEYS)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    keys=st.sets(
        st.text(
            st.sampled_from("ab./\\%20+ ?#\t\u0301é😀~")
            | st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"),
            min_size=1,
            max_size=12,
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_text_is_a_key(server: S3Server, keys: set[str]) -> None:
    source = _bucket(server, {key: key.encode() for key in keys})
    listed = {entry.path for entry in source.list() if isinstance(entry, SourceFile)}
    assert listed == {k for k in keys if not any(map(_is_hidden, k.split("/")))}
    for path in listed:
        assert source.read(path, max_bytes=4_000) == path.encode()


def _is_hidden(part: str) -> bool:
    return part.startswith("~$") or (part.startswith(".") and part not in (".", ".."))


def test_a_key_that_can_not_be_stored_fails_alone(server: S3Server) -> None:
    source = _bucket(server, {"a.md": b"a", "b\0c.md": b"x", "docs/": b"text", "z.md": b"z"})
    listed = list(source.list())
    assert [e.path for e in listed if isinstance(e, SourceFile)] == ["a.md", "docs/", "z.md"]
    (error,) = [entry for entry in listed if isinstance(entry, SourceError)]
    assert (error.code, error.document) == ("bad_name", r"b\x00c.md")
    with pytest.raises(SourceError) as caught:
        source.read(r"b\x00c.md", max_bytes=10)
    assert caught.value.code == "bad_name"
    below = list(Source.open(source.root + "/docs").list())
    assert [(e.code, e.document) for e in below if isinstance(e, SourceError)] == [
        ("bad_name", "/")
    ]


def test_marks_of_folders_and_hidden_files_are_no_documents(server: S3Server) -> None:
    keys = ["docs/", "docs/a.md", "docs/old/", ".git/x", "...md", "~$a.docx", "Thumbs.db"]
    source = _bucket(server, {key: b"" if key.endswith("/") else b"text" for key in keys})
    for root, path in ((source.root, "docs/a.md"), (source.root + "/docs", "a.md")):
        assert [entry.path for entry in Source.open(root).list()] == [path]  # type: ignore[union-attr]


def test_a_line_feed_in_a_key_hides_no_other(server: S3Server) -> None:
    """No route of moto fits such a key."""
    source = _bucket(server, {"a.md": b"a", "line\nfeed.md": b"x", "z.md": b"z"})
    listed = [entry.path for entry in source.list() if isinstance(entry, SourceFile)]
    assert listed == ["a.md", "line\nfeed.md", "z.md"]
    with pytest.raises(SourceError) as caught:
        source.read("line\nfeed.md", max_bytes=10)
    assert caught.value.document == "line\nfeed.md"


def test_a_document_and_those_below_its_name_are_both_listed(server: S3Server) -> None:
    source = _bucket(server, dict.fromkeys(["a", "a/b", "a//c", "ab", "/a"], b"text"))
    for prefix, paths in (("a", ["a", "a//c", "a/b"]), ("/a", ["/a"]), ("none", [])):
        assert [entry.path for entry in source.list([prefix])] == paths  # type: ignore[union-attr]


def test_pages_of_any_keys_continue_after_each_of_them(
    server: S3Server,
) -> None:
    source = _bucket(server, {f"p/{key}": b"text" for key in KEYS}, "/p")
    listed = [e for page in source.pages() for e in page.entries if isinstance(e, SourceFile)]
    assert [file.path for file in listed] == sorted(KEYS)
    # moto repeats the start of the listing unescaped, and so no XML.
    for key in [*filter(str.isprintable, KEYS)][::5]:
        rest = [e.path for page in source.pages(key) for e in page.entries]  # type: ignore[union-attr]
        assert rest == [path for path in sorted(KEYS) if path > key]


def test_a_missing_odd_key_has_vanished(server: S3Server) -> None:
    source = _bucket(server, {"a.md": b"a"})
    for call in (lambda: source.stat("b//c"), lambda: source.read("b//c", max_bytes=10)):
        with pytest.raises(SourceError) as caught:
            call()
        assert (caught.value.code, caught.value.document) == ("vanished", "b//c")


def test_a_large_odd_key_is_refused(server: S3Server) -> None:
    source = _bucket(server, {"b//c": b"12345"})
    with pytest.raises(SourceError) as caught:
        source.read("b//c", max_bytes=4)
    assert caught.value.code == "too_large"


def test_an_endpoint_without_tls_must_be_allowed(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    source = _bucket(server, {"a.md": b"a"})
    with pytest.raises(ConfigurationError) as caught:
        list(source.list())
    assert caught.value.code == "source_unusable"
    assert "AWS_ALLOW_HTTP" in caught.value.message
