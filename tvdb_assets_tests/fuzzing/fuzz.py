"""Fuzzing of the parsers: each damaged file must give a valid text or an error with a code.

``make fuzz`` runs this for ten minutes from a new seed; ``SECONDS`` and ``SEED`` set both. A
finding is printed with the seed that reproduces it. An exception of a library is not a finding,
because it means a damaged document. An exception in the code of this package is a finding.

PDF, pictures and Parquet are excluded: their libraries crash the process on some damaged files. For
this reason, parsers run in separate processes.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import tvdb_assets
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.text_validation import validate
from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.container_members import ContainerBudget, extract_members, list_members
from tvdb_assets.parsing.document_parser import identify_document, parse_document
from tvdb_assets.parsing.format_registry import container_for, parser_for
from tvdb_assets.parsing.reading.content_sniffing import PARQUET
from tvdb_assets_tests.fuzzing.samples import samples, unzipped, zipped

SLOW_SECONDS = 20
_EXCLUDED = ("application/pdf", "image/", PARQUET)
_CODE = str(Path(tvdb_assets.__file__).parent)
_TOKENS = (
    *(b"\x00", b"\xff\xff\xff\xff", b"\r\n", b"\n\n", b"|", b"{", b"}", b"[[", b"<", b">", b"&"),
    *(b'"', b"\\", b"#", b"=" * 40, b"-" * 40, b"`" * 5, b"From ", b"\xef\xbb\xbf", b"\xff\xfe"),
    *(b"<table>", b"</table>", b"<row>", b"9" * 30, b"\xed\xa0\x80", b" " * 80, b"(" * 60),
)


class Finding(Exception):  # noqa: N818 - it is a result, not an error of the fuzzer
    """A violated rule."""


def main() -> None:
    """Fuzz until the time is over; the exit code is 1 after any finding."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=600)
    arguments.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments.add_argument("--keep", type=Path, help="folder for files that give a finding")
    given = arguments.parse_args()
    found: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    until = time.monotonic() + given.seconds
    seed = given.seed
    while time.monotonic() < until:
        seed += 1
        name, data = damaged(seed)
        try:
            with _within_time():
                ended[check(name, data)] += 1
        except Finding as finding:
            found[str(finding)] += 1
            if found[str(finding)] == 1:
                print(f"seed {seed} {name}: {finding}", flush=True)
                if given.keep is not None:
                    (given.keep / f"{seed}-{name}").write_bytes(data)
    counts = ", ".join(f"{code} {count:,}" for code, count in ended.most_common())
    print(f"{sum(ended.values()):,} files from seed {given.seed}: {counts}")
    sys.exit(1 if found else 0)


def damaged(seed: int) -> tuple[str, bytes]:
    """A sample's name and its damaged bytes; the seed determines both."""
    rng = random.Random(seed)
    good = samples_once()
    name = rng.choice(sorted(good))
    data = good[name]
    files = unzipped(data) if rng.random() < 0.8 else None
    if files:
        inner = rng.choice(sorted(files))
        files[inner] = _mutated(rng, files[inner], good)
        return name, zipped(files)
    return name, _mutated(rng, data, good)


def samples_once() -> dict[str, bytes]:
    """The samples, created once."""
    if not _created:
        _created.update(samples())
    return _created


_created: dict[str, bytes] = {}


def _mutated(rng: random.Random, data: bytes, others: dict[str, bytes]) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(len(out) + 1)
        size = rng.choice((1, 2, 4, 16, 64, 400))
        match rng.randrange(8):
            case 0 if out:
                out[at % len(out)] ^= 1 << rng.randrange(8)
            case 1 if out:
                out[at % len(out)] = rng.randrange(256)
            case 2:
                del out[at:]
            case 3:
                del out[at : at + size]
            case 4:
                out[at:at] = out[at : at + size] * rng.choice((1, 2, 50))
            case 5:
                out[at:at] = rng.choice(_TOKENS) * rng.choice((1, 1, 3, 200))
            case 6:
                other = others[rng.choice(sorted(others))]
                start = rng.randrange(len(other))
                out[at : at + size] = other[start : start + size]
            case _:
                out[at : at + 4] = rng.choice((0, 1, 255, 65_535, 2**31 - 1, 2**32 - 1)).to_bytes(
                    4, rng.choice(("little", "big"))
                )
    return bytes(out[: 1 << 20])


@contextmanager
def _within_time() -> Iterator[None]:
    def raise_finding(*_: object) -> None:
        raise Finding(f"slower than {SLOW_SECONDS} seconds in {_where(sys.exc_info()[1])}")

    signal.signal(signal.SIGALRM, raise_finding)
    signal.alarm(SLOW_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def check(name: str, data: bytes) -> str:
    """The result of a file: ``text``, an error code, or ``excluded``.

    Raises:
        Finding: another result, or a text that violates an invariant.
    """
    try:
        sniffed = identify_document(data, name)
        if sniffed.media_type.startswith(_EXCLUDED):
            return "excluded"
        container = container_for(sniffed.media_type)
        if container is not None:
            _check_members(data, sniffed.media_type)
        parser = parser_for(sniffed.media_type)
        if parser is not None:
            try:
                parser.parse(data, sniffed.media_type, name)
            except (ParseError, MemoryError, Finding):
                pass
            except Exception as error:
                if _is_in_package(error):
                    raise Finding(f"{type(error).__name__} in {_where(error)}") from error
        parsed = parse_document(data, name)
        validate(parsed, len(data))
    except ParseError as error:
        if not (error.message and error.remedy):
            raise Finding(f"{error.code} has no message or remedy") from error
        return error.code
    except Finding:
        raise
    except Exception as error:
        raise Finding(f"{type(error).__name__} in {_where(error)}") from error
    _check_text(parsed)
    return "text"


def _check_members(data: bytes, media_type: str) -> None:
    members = list_members(data, media_type, ContainerBudget(1, 2_000, 64 << 20))
    names = [member.name for member in members]
    _require(len(set(names)) == len(names), "names of members are not unique")
    for member in members:
        parts = member.name.split("/")
        _require(not {"..", ".", ""} & set(parts), "a member's name points outside")
        _require(
            not any(char < " " for char in member.name), "a member's name has control characters"
        )
    good = [member for member in members if member.error is None]
    contents = extract_members(data, media_type, [member.position for member in good])
    for member, content in zip(good, contents, strict=True):
        _require(sha256(content).digest() == member.sha256, "a member has other bytes than listed")


def _check_text(parsed: ParsedDocument) -> None:
    text = parsed.text
    _require("\x00" not in text and "\r" not in text, "a text is not normalized")
    text.encode("utf-8")
    _require(list(parsed.page_starts) == sorted(parsed.page_starts), "pages are out of order")
    offsets = [heading.offset for heading in parsed.headings]
    _require(offsets == sorted(set(offsets)), "headings are out of order")
    _require(all(0 <= offset < len(text) for offset in offsets), "a heading is outside")
    chunker = Chunker(64, 8)
    covered = 0
    for chunk in chunker.chunk(parsed):
        _require(text[chunk.start : chunk.end] == chunk.text, "a chunk is not its text")
        _require(not text[covered : chunk.start].strip(), "text is in no chunk")
        _require(0 < chunk.token_count <= 64, "a chunk is too long")
        _require(
            count_tokens(chunk.repeated_header + chunk.text) == chunk.token_count,
            "tokens are miscounted",
        )
        covered = max(covered, chunk.end)
    _require(not text[covered:].strip(), "text is in no chunk")


def _require(is_true: bool, otherwise: str) -> None:
    if not is_true:
        raise Finding(otherwise)


def _is_in_package(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(_CODE)


def _where(error: BaseException | None) -> str:
    frames = traceback.extract_tb(error.__traceback__) if error is not None else ()
    ours = [frame for frame in frames if frame.filename.startswith(_CODE)]
    return (
        f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "no line of this package"
    )


if __name__ == "__main__":
    main()
