"""OCR of scans and pictures that are drawn here: choice of pages, confidence, limits."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Callable

import pikepdf
import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tvdb_assets.core.text_validation import validate
from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.errors import ConfigurationError, ParseError
from tvdb_assets.parsing.active_limits import limits_applied
from tvdb_assets.parsing.document_parser import parse_document, parser_fingerprint
from tvdb_assets.parsing.formats import image, pdf
from tvdb_assets.parsing.parse_tasks import most_pages, prepare_document
from tvdb_assets.parsing.reading import ocr
from tvdb_assets.parsing.worker_pool import WorkerPool

_WORDS = "The policy covers fire and theft."


def _drawn(text: str = _WORDS, size: tuple[int, int] = (1_240, 400)) -> Image.Image:
    picture = Image.new("L", size, "white")
    draw = ImageDraw.Draw(picture)
    draw.multiline_text((80, 80), text, fill="black", font=ImageFont.load_default(48))
    return picture


def _bytes(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _pdf(*pages: Image.Image | str | None) -> bytes:
    """A PDF whose pages are a scan, lines of text, or blank."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(612, 792), invariant=1)
    for page in pages:
        if isinstance(page, str):
            for row in range(10):
                canvas.drawString(72, 700 - 20 * row, f"{page} Line {row} of plain text.")
        elif page is not None:
            canvas.drawImage(ImageReader(page), 0, 0, 612, 792)
            canvas.drawString(500, 20, "7")  # a number that the scanner stamped
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _error(data: bytes, path: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_document(data, path)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("PNG", lambda picture: picture),
        ("JPEG", lambda picture: picture.rotate(180)),
        ("TIFF", lambda picture: picture.rotate(90, expand=True)),
        ("BMP", lambda picture: picture.resize((620, 200))),
        ("WEBP", lambda picture: picture.convert("RGB")),
    ],
)
def test_pictures_are_read_in_any_orientation(
    kind: str, change: Callable[[Image.Image], Image.Image]
) -> None:
    lines = "\n".join([_WORDS] * 6)
    data = _bytes(change(_drawn(lines, (1_240, 700))), kind)
    parsed = parse_document(data, f"a.{kind.lower()}")
    assert parsed.text.count("The policy covers fire and") == 6
    assert parsed.facts["ocr_confidence"] > 80
    assert parsed.notes == (
        f"text is read by OCR with {parsed.facts['ocr_confidence']} % confidence",
    )
    assert parsed.page_starts == (0,)


def test_a_tiff_has_pages_and_transparency_is_white() -> None:
    second = _drawn("Second page, other words.")
    data = _bytes(_drawn(), "TIFF", save_all=True, append_images=[second])
    parsed = parse_document(data, "a.tiff")
    assert len(parsed.page_starts) == 2
    assert "other words" in parsed.text[parsed.page_starts[1] :]
    clear = Image.new("RGBA", (1_240, 400), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), mask=_drawn().point(lambda value: 255 - value))
    assert _WORDS in parse_document(_bytes(clear, "PNG"), "a.png").text


def test_only_pages_that_are_pictures_get_ocr() -> None:
    scan = _drawn(_WORDS, (1_240, 1_604))
    data = _pdf("First", scan, None, "Last")
    parsed = parse_document(data, "a.pdf")
    validate(parsed, len(data))
    bounds = (*parsed.page_starts, len(parsed.text))
    pages = [parsed.text[bounds[n] : bounds[n + 1]].strip() for n in range(4)]
    assert _WORDS in pages[1]
    assert pages[2] == ""
    assert "Line 9 of plain text" in pages[0] and "Line 9 of plain text" in pages[3]
    assert parsed.facts["pages_ocr"] == 1
    assert parsed.facts["pages_scanned"] == 0
    assert "1 of 4 pages are scans, read by OCR with" in parsed.notes[0]


def test_scans_beyond_the_limit_are_noted() -> None:
    scan = _drawn(_WORDS, (1_240, 1_604))
    with limits_applied(DocumentLimits(ocr_max_pages=1)):
        parsed = parse_document(_pdf(scan, scan), "a.pdf")
    assert (parsed.facts["pages_ocr"], parsed.facts["pages_scanned"]) == (1, 1)
    assert "only the first 1 scans are read" in parsed.notes[1]


def test_pictures_without_text_or_too_large() -> None:
    assert _error(_bytes(Image.new("L", (600, 400), "grey"), "PNG"), "a.png").code == "empty"
    with pytest.raises(ParseError) as caught:
        blank = Image.new("L", (1_240, 1_604), "white")
        validate(parse_document(_pdf(blank), "a.pdf"), 1_000)
    assert caught.value.code == "pages_without_text"
    assert "tessdata" in caught.value.remedy
    good = _bytes(_drawn(), "PNG")
    assert _error(good[:200], "a.png").code == "corrupt"
    with limits_applied(DocumentLimits(max_picture_megapixels=0)):
        error = _error(good, "a.png")
    assert error.code == "over_limit"
    assert "TVDB_MAX_PICTURE_MEGAPIXELS" in error.remedy


def test_without_language_data(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ocr.languages().startswith("eng")
    before = image.PARSER.fingerprint, pdf.PARSER.fingerprint
    monkeypatch.setattr(ocr, "languages", lambda: "")
    error = _error(_bytes(_drawn(), "PNG"), "a.png")
    assert (error.code, "pip install" in error.remedy) == ("ocr_unavailable", True)
    parsed = parse_document(_pdf("Text", _drawn(_WORDS, (1_240, 1_604))), "a.pdf")
    assert parsed.facts["pages_scanned"] == 1
    # Installing a language changes the fingerprints, so scans are read again.
    assert image.PARSER.fingerprint != before[0]
    assert pdf.PARSER.fingerprint != before[1]


def test_counting_pages_reads_no_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*args: object) -> None:
        raise AssertionError("a scan was read")

    scan = _pdf(_drawn(_WORDS, (1_240, 1_604)), "Text")
    monkeypatch.setattr(ocr, "read_picture", read)
    assert most_pages(scan, "a.pdf", frozenset({"application/pdf"})) == 2
    with pytest.raises(AssertionError):
        ocr.read_pages(scan, {1: ocr.ScannedPage(1.0)}, 10)


def test_a_worker_can_read_pictures() -> None:
    with WorkerPool(workers=1, timeout_seconds=60) as pool:
        scan = _pdf(_drawn(_WORDS, (1_240, 1_604)))
        prepared = pool.submit(prepare_document, scan, "a.pdf", "local", None).result(60)
    assert _WORDS in prepared.parsed.text


def test_configured_languages_must_be_installed() -> None:
    ocr.check_languages("eng")
    with pytest.raises(ConfigurationError) as caught:
        ocr.check_languages("eng+xyz")
    assert "pip install tessdata.xyz" in caught.value.remedy
    with limits_applied(DocumentLimits(ocr_languages="eng")):
        assert ocr.languages() == "eng"
    fingerprints = {parser_fingerprint(limits=DocumentLimits(ocr_dpi=dpi)) for dpi in (300, 200)}
    assert len(fingerprints) == 2


def test_a_noisy_scan_is_read_without_its_speckles() -> None:
    picture = _drawn("\n".join([_WORDS] * 4), (1_240, 700))
    drawn = random.Random(1)
    for _ in range(picture.width * picture.height // 12):
        at = drawn.randrange(picture.width), drawn.randrange(picture.height)
        picture.putpixel(at, drawn.choice((0, 255)))
    for noisy in (picture, picture.rotate(0.4, fillcolor=255), picture.point(lambda v: v * 3 // 4)):
        text = parse_document(_bytes(noisy, "PNG", dpi=(150, 150)), "noisy.png").text
        words = Counter(text.split())
        assert sum((words & Counter((_WORDS + " ").split() * 4)).values()) >= 0.85 * 24


@pytest.mark.parametrize("text", ["Please wait...", "Bitte warten Sie.", "Page 1"])
def test_a_form_that_a_viewer_creates_from_xml_is_refused_as_such(text: str) -> None:
    with pikepdf.open(io.BytesIO(_pdf(text))) as document:
        xfa = document.make_stream(b"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'/>")
        document.Root.AcroForm = pikepdf.Dictionary(XFA=xfa, Fields=pikepdf.Array())
        static = io.BytesIO()
        document.save(static)
        document.Root.NeedsRendering = True
        dynamic = io.BytesIO()
        document.save(dynamic, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    error = _error(dynamic.getvalue(), "form.pdf")
    assert error.code == "unsupported"
    assert "XFA" in error.message
    # A form whose pages are drawn in the file is read.
    assert text in parse_document(static.getvalue(), "form.pdf").text
