"""Listing, refusing and reading files of a source, on real folders with FIFOs and links."""

from __future__ import annotations

import os
import random
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from string import ascii_letters

import pytest

from tvdb_assets.errors import ConfigurationError, SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.sources.folder import MAX_DEPTH, MAX_PATH_BYTES
from tvdb_assets.sources.source import Source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def listed(root: Path, *prefixes: str) -> dict[str, str]:
    """The size of each file by path, or the code of its error."""
    found = list(Source.open(str(root)).list(prefixes))
    return {
        (item.path if isinstance(item, SourceFile) else item.document or ""): (
            str(item.size) if isinstance(item, SourceFile) else item.code
        )
        for item in found
    }


def read_error(root: Path, path: str, max_bytes: int = 1_000) -> SourceError:
    with pytest.raises(SourceError) as caught:
        Source.open(str(root)).read(path, max_bytes=max_bytes)
    assert caught.value.remedy
    return caught.value


def write(path: Path, data: bytes = b"text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_files_are_listed_in_the_order_of_their_paths(root: Path) -> None:
    names = ["a.md", "a/b.md", "a/ä.md", "a/c/d e.md", "a-b/x", "b,[c].md", "保险.md", "Z"]
    for name in names:
        write(root / name, name.encode())
    found = list(Source.open(str(root)).list())
    assert [f.path for f in found if isinstance(f, SourceFile)] == sorted(names)
    source = Source.open(str(root))
    for name in names:
        assert source.read(name, max_bytes=100) == name.encode()
        assert source.stat(name) in found


def test_a_prefix_is_a_folder_or_a_file_and_each_file_is_listed_once(root: Path) -> None:
    for name in ["a/1", "a/b/2", "ab/3", "c"]:
        write(root / name)
    assert list(listed(root, "a")) == ["a/1", "a/b/2"]
    assert list(listed(root, "a/", "a/b", "c")) == ["a/1", "a/b/2", "c"]
    assert listed(root, "nothing") == {}
    assert listed(root, "../root") == {}


def test_ignored_names_are_not_listed(root: Path) -> None:
    for name in [".git/config", ".DS_Store", "~$report.docx", "Thumbs.db", "desktop.ini", "a/.x"]:
        write(root / name)
    write(root / "kept..md")
    assert list(listed(root)) == ["kept..md"]


def test_links_within_the_source_are_files_and_others_are_refused(root: Path) -> None:
    write(root / "real.md", b"12345")
    (root / "within.md").symlink_to("real.md")
    write(root.parent / "secret.md")
    (root / "outside.md").symlink_to(root.parent / "secret.md")
    (root / "dangling.md").symlink_to("nowhere.md")
    (root / "loop.md").symlink_to("loop.md")
    write(root / "folder" / "x.md")
    (root / "linked").symlink_to("folder")
    (root / "up").symlink_to(root.parent)
    assert listed(root) == {
        "linked": "not_a_file",
        "dangling.md": "vanished",
        "folder/x.md": "4",
        "loop.md": "link_loop",
        "outside.md": "link_outside",
        "real.md": "5",
        "up": "link_outside",
        "within.md": "5",
    }
    assert Source.open(str(root)).read("within.md", max_bytes=5) == b"12345"
    assert read_error(root, "outside.md").code == "link_outside"
    assert read_error(root, "up/secret.md").code == "link_outside"
    assert read_error(root, "../secret.md").code == "link_outside"
    assert read_error(root, str(root.parent / "secret.md")).code == "link_outside"
    assert read_error(root, "loop.md").code == "link_loop"
    assert listed(root, "up/secret.md") == {"up/secret.md": "link_outside"}


def test_a_root_that_starts_with_the_same_letters_is_outside(root: Path) -> None:
    write(root.parent / "root-other" / "x.md")
    (root / "x.md").symlink_to(root.parent / "root-other" / "x.md")
    assert listed(root) == {"x.md": "link_outside"}


def test_fifos_sockets_and_devices_are_refused_without_waiting(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "fifo")
    monkeypatch.chdir(root)  # a socket's path may have 100 characters at most
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        (root / "link").symlink_to("fifo")
        assert listed(root) == dict.fromkeys(["fifo", "link", "socket"], "not_a_file")
        for name in ("fifo", "link", "socket"):
            assert read_error(root, name).code == "not_a_file"
    assert "a FIFO" in read_error(root, "fifo").message


def test_a_name_that_is_not_utf8_is_refused_and_escaped(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.md")).write_bytes(b"x")
    assert listed(root) == {"caf\\xe9.md": "bad_name"}


def nest(root: Path, names: Sequence[str]) -> int:
    """An open descriptor of the innermost folder; the whole path may be too long to name."""
    folder = os.open(root, os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=folder)
        inner = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    return folder


def write_in(folder: int, name: str) -> None:
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder))


def test_a_path_that_no_index_can_hold_is_refused_alone(root: Path, database: Database) -> None:
    """Letters that Postgres can't compress, which would make room for longer paths."""
    drawn = random.Random(1)
    names = ["".join(drawn.choices(ascii_letters, k=250)) for _ in range(11)]
    left = MAX_PATH_BYTES - len(os.fsencode(root)) - len("".join(f"{n}/" for n in names[:-1]))
    folder = nest(root, names[:-1])
    longest = (names[-1] * 2)[:left]
    write_in(folder, longest)
    write_in(folder, "x" + longest)
    os.close(folder)
    write(root / "good.md")

    fine, refused = [], []
    for entry in Source.open(str(root)).list():
        (fine if isinstance(entry, SourceFile) else refused).append(entry)

    assert [error.code for error in refused] == ["bad_name"]
    assert "the limit is 2,600 bytes" in str(refused[0])
    assert len(DocumentRegistry(database).register(str(root), fine, run_id="")) == 2


def test_folders_that_are_nested_too_deep_are_not_listed_and_others_are(root: Path) -> None:
    for depth, name in ((MAX_DEPTH, "a"), (MAX_DEPTH + 1, "b"), (300, "c")):
        folder = nest(root, [name] * depth)
        write_in(folder, "x.md")
        os.close(folder)
    write(root / "good.md")
    beyond = {"/".join([name] * (MAX_DEPTH + 1)): "unlisted" for name in "bc"}
    assert listed(root) == {
        "/".join("a" * MAX_DEPTH) + "/x.md": "0",
        "good.md": "4",
        **beyond,
    }


@pytest.fixture
def as_ordinary_user() -> Iterator[Path]:
    """A folder of an ordinary user, with the permissions of that user: root may read all files."""
    nobody = 65_534
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() != 0:
            yield Path(folder)
            return
        os.chown(folder, nobody, nobody)
        os.seteuid(nobody)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


def test_files_without_read_permission_are_refused(as_ordinary_user: Path) -> None:
    root = as_ordinary_user
    write(root / "file.md").chmod(0)
    write(root / "folder" / "x.md").parent.chmod(0)
    try:
        assert listed(root) == {"file.md": "unreadable", "folder": "unlisted"}
        assert read_error(root, "file.md").code == "unreadable"
    finally:
        (root / "folder").chmod(0o700)


def test_a_large_file_is_refused_before_it_is_read(root: Path) -> None:
    with (root / "large").open("wb") as file:
        file.truncate(1 << 40)  # more than memory holds, if it were read
    error = read_error(root, "large", max_bytes=1 << 20)
    assert error.code == "too_large"
    assert "TVDB_MAX_DOCUMENT_MIB" in error.remedy
    write(root / "exact", b"1234")
    assert Source.open(str(root)).read("exact", max_bytes=4) == b"1234"


def test_a_deleted_file_is_refused(root: Path) -> None:
    write(root / "a.md")
    listing = Source.open(str(root)).list()
    (root / "a.md").unlink()
    assert [item.code for item in listing if isinstance(item, SourceError)] in ([], ["vanished"])
    assert read_error(root, "a.md").code == "vanished"
    with pytest.raises(SourceError):
        Source.open(str(root)).stat("a.md")


def test_the_etag_changes_with_the_bytes_even_if_size_and_time_do_not(root: Path) -> None:
    path = write(root / "a.md", b"one")
    source = Source.open(str(root))
    before, status = source.stat("a.md"), path.stat()
    assert source.stat("a.md") == before
    other = write(root / "b.md", b"two")
    other.replace(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert source.stat("a.md").etag != before.etag


def test_a_file_swapped_for_an_outside_link_is_never_read(root: Path) -> None:
    write(root.parent / "secret", b"secret")
    write(root / "a", b"public")
    (root / "link").symlink_to(root.parent / "secret")
    source = Source.open(str(root))
    stop = threading.Event()

    def swap() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            fresh = root / ".fresh"
            fresh.symlink_to(root.parent / "secret") if turn % 2 else fresh.write_bytes(b"public")
            fresh.replace(root / "a")

    thread = threading.Thread(target=swap)
    thread.start()
    codes = set()
    try:
        for _ in range(1_500):
            try:
                assert source.read("a", max_bytes=100) == b"public"
            except SourceError as error:
                codes.add(error.code)
    finally:
        stop.set()
        thread.join()
    # "read_failed": the link was deleted while the system resolved it.
    refused = {"link_outside", "link_loop", "vanished", "changed_while_read", "not_a_file"}
    assert codes <= {*refused, "read_failed"}


def test_the_error_of_a_missing_source_names_its_setting(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", write(tmp_path / "file")):
        with pytest.raises(ConfigurationError) as caught:
            Source.open(str(path))
        assert caught.value.code == "source_missing"
        assert "TVDB_SOURCE" in caught.value.remedy


def test_the_root_of_a_source_is_its_real_path(root: Path) -> None:
    (root.parent / "alias").symlink_to(root)
    assert Source.open(str(root.parent / "alias")).root == str(root.resolve())
    assert Source.open(f"file://{root}").root == str(root.resolve())


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Source.open("ftp://host/folder")
    assert caught.value.code == "source_unusable"


def test_pages_of_a_folder_continue_after_any_path(tmp_path: Path) -> None:
    names = ["a", "a-b/c", "a.md", "b/a", "b/c/d", "b.md", "b0", ".x/y", "c/.z", "ä/ö"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    with suppress(OSError):
        # Not every system takes a name that is not UTF-8.
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.md")).write_text("x")
    (tmp_path / "empty").mkdir()
    source = Source.open(str(tmp_path))

    def listed(after: str = "") -> list[str]:
        entries = [entry for page in source.pages(after) for entry in page.entries]
        return [e.path if isinstance(e, SourceFile) else e.document or "" for e in entries]

    everything = listed()
    assert everything == sorted(everything)
    assert {n for n in names if not n.startswith(".") and "/." not in n} <= set(everything)
    for number, path in enumerate(everything):
        assert listed(path) == everything[number + 1 :]
    assert [page.position for page in source.pages()] == [everything[-1]]


@pytest.mark.parametrize(
    "target",
    [
        ".draft.md",
        ".git/notes.md",
        "folder/.cache/../x.md",
        "~$lock.md",
        "folder/desktop.ini",
        "hop",
        "{root}/.draft.md",
    ],
)
def test_a_link_makes_no_document_of_what_listings_leave_out(root: Path, target: str) -> None:
    for name in (".draft.md", ".git/notes.md", "folder/.cache/y.md", "folder/x.md", "~$lock.md"):
        write(root / name)
    write(root / "folder" / "desktop.ini")
    (root / "hop").symlink_to(".git/notes.md")
    (root / "link.md").symlink_to(target.format(root=root))

    assert listed(root)["link.md"] == "link_outside"
    assert "left out" in read_error(root, "link.md").message
    # By its own name it is not listed, and not read either.
    assert listed(root, ".draft.md") == {}
    assert read_error(root, ".draft.md").code == "link_outside"


def test_files_of_a_volume_of_kubernetes_are_documents(root: Path) -> None:
    write(root / "..2026_11_28" / "terms.md", b"12345")
    (root / "..data").symlink_to("..2026_11_28")
    (root / "terms.md").symlink_to("..data/terms.md")
    assert listed(root) == {"terms.md": "5"}
    assert Source.open(str(root)).read("terms.md", max_bytes=5) == b"12345"
