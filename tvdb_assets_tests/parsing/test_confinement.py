"""Worker processes only parse: no document makes them write, connect or use too much memory."""

from __future__ import annotations

import io

import pikepdf
import pytest
from PIL import Image, ImageDraw

from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets_tests.fuzzing.samples import samples, zipped
from tvdb_assets_tests.parsing import worker_pool_tasks as tasks
from tvdb_assets_tests.parsing.sample_files import make_pdf

_MEMORY_MIB = 512
_WAIT = 200.0
_ENTITY = '<!DOCTYPE a [<!ENTITY x SYSTEM "%s">]><a><p>&x; text</p></a>'


def _picture() -> bytes:
    picture = Image.new("L", (900, 200), "white")
    ImageDraw.Draw(picture).text((20, 60), "The policy covers flood damage.", font_size=48)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", dpi=(300, 300))
    return buffer.getvalue()


def _flate_bomb() -> bytes:
    with pikepdf.open(io.BytesIO(make_pdf(["One page"]))) as document:
        page = document.pages[0]
        page.Contents = document.make_stream(b" " * (64 << 20))
        buffer = io.BytesIO()
        document.save(buffer, compress_streams=True)
    return buffer.getvalue()


def _hostile() -> dict[str, bytes]:
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = zipped({"word/document.xml": b" " * (100 << 20)} | {"[Content_Types].xml": b"<x/>"})
    return {
        "file.xml": (_ENTITY % "file:///etc/passwd").encode(),
        "web.xml": (_ENTITY % "http://127.0.0.1:9/x").encode(),
        "laugh.xml": f'<!DOCTYPE a [<!ENTITY l0 "lol">{lol}]><a><p>&l11;</p></a>'.encode(),
        "web.html": b'<h1>T</h1><p>Some text.</p><img src="http://127.0.0.1:9/x">'
        b'<iframe src="file:///etc/passwd"></iframe><link href="http://127.0.0.1:9/a.css">',
        "include.rst": b"Text.\n\n.. include:: /etc/passwd\n\n.. raw:: html\n   :url: http://x/\n",
        "include.tex": b"\\begin{document}\\input{/etc/passwd} text\\end{document}",
        "include.adoc": b"include::/etc/passwd[]\n\nText.\n",
        "deep.json": b"[" * 200_000,
        "deep.html": b"<div>" * 100_000 + b"text",
        "bomb.docx": bomb,
        "bomb.pdf": _flate_bomb(),
        "cut.pdf": make_pdf(["Some text on a page"])[:-200],
        "far.csv": b"a,b\n" + b"," * 900_000 + b"x\n",
    }


@pytest.mark.timeout(300)
def test_no_document_makes_its_parser_write_connect_or_exceed_its_memory() -> None:
    good = {**samples(), "a.pdf": make_pdf(["A page", "with text"]), "a.png": _picture()}
    codes: dict[str, str] = {}
    limits = DocumentLimits(max_expanded_mib=64)
    with WorkerPool(
        workers=1,
        timeout_seconds=_WAIT,
        memory_mib=_MEMORY_MIB,
        prepare=(tasks.record_events, limits),
        modules=(tasks.__name__,),
    ) as pool:
        for name, data in {**_hostile(), **good}.items():
            code, events, folder, peak_kib = pool.submit(tasks.parse_recorded, data, name).result(
                _WAIT
            )
            if code:
                codes[name] = code
            assert {event for event, _ in events} <= {"open"}, name
            outside = {path for _, path in events if not path.startswith((folder, "/dev/null"))}
            assert all("__pycache__" in path for path in outside), (name, outside)
            assert peak_kib < _MEMORY_MIB * 1024, name
    assert not codes.keys() & good.keys()
    assert codes["bomb.docx"] == "expands_too_far"
    assert not codes.keys() & {"web.html", "include.rst", "include.tex", "include.adoc"}
