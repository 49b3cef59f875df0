"""Pages of a PDF whose text is not in their content: pictures anywhere, form fields, marks."""

from __future__ import annotations

import io

import pikepdf
import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tvdb_assets.parsing.document_parser import parse_document
from tvdb_assets.parsing.pages.scan_detection import is_garbled
from tvdb_assets_tests.parsing.drawn_pages import draw_pdf, page_content

_LINES = ("The roof was damaged by hail", "on the fourth day of May.")
_SIZE = (1_000, 200)


def _scan() -> Image.Image:
    picture = Image.new("L", _SIZE, "white")
    draw = ImageDraw.Draw(picture)
    draw.multiline_text((30, 30), "\n".join(_LINES), fill="black", font=ImageFont.load_default(48))
    return picture


def _canvas() -> tuple[Canvas, io.BytesIO]:
    buffer = io.BytesIO()
    return Canvas(buffer, pagesize=(595, 842), invariant=1), buffer


def _under_a_letter() -> bytes:
    canvas, buffer = _canvas()
    for row in range(14):
        canvas.drawString(60, 780 - 16 * row, f"Line {row} of a letter to the policyholder.")
    canvas.drawImage(ImageReader(_scan()), 100, 300, 400, 80)
    canvas.save()
    return buffer.getvalue()


def _in_strips() -> bytes:
    canvas, buffer = _canvas()
    height = _SIZE[1] // 5
    for strip in range(5):
        part = _scan().crop((0, strip * height, _SIZE[0], (strip + 1) * height))
        canvas.drawImage(ImageReader(part), 100, 400 - 16 * strip, 400, 16)
    canvas.save()
    return buffer.getvalue()


def _in_a_form() -> bytes:
    canvas, buffer = _canvas()
    canvas.beginForm("scan")
    canvas.drawImage(ImageReader(_scan()), 100, 400, 400, 80)
    canvas.endForm()
    canvas.doForm("scan")
    canvas.drawString(60, 800, "FILED 04 May")
    canvas.save()
    return buffer.getvalue()


@pytest.mark.parametrize("data", [_under_a_letter(), _in_strips(), _in_a_form()])
def test_a_picture_with_text_is_read_wherever_it_stands(data: bytes) -> None:
    parsed = parse_document(data, "a.pdf")
    assert all(line in parsed.text for line in _LINES)
    assert parsed.facts["pages_ocr"] == 1


def test_text_beside_a_picture_is_kept_and_not_read_again() -> None:
    parsed = parse_document(_in_a_form(), "a.pdf")
    assert parsed.text.count("FILED 04 May") == 1


def test_rulings_and_blank_pages_are_no_scans() -> None:
    ruled = page_content([(60, 780, "A short letter.")], [(50, 40, 50, 800), (55, 40, 55, 800)])
    parsed = parse_document(draw_pdf(ruled, b""), "a.pdf")
    assert "pages_ocr" not in parsed.facts
    assert parsed.facts["pages_scanned"] == 0


@pytest.mark.parametrize(
    ("text", "garbled"),
    [
        ("\ue001\ue002\ue003 \ue004\ue005", True),
        ("Tkx qwrt zxcvb nmtrw plkjh dfgtr wq%z x#vbn", True),
        ("The deductible is EUR 750 for each claim.", False),
        ("契約者は損害を直ちに 報告する ものとする。 契約 契約", False),
        ("", False),
    ],
)
def test_a_layer_is_garbled_only_if_a_person_could_not_read_it(text: str, garbled: bool) -> None:
    assert is_garbled(text, is_over_picture=True) is garbled


def test_fields_of_a_form_are_kept_with_their_labels() -> None:
    canvas, buffer = _canvas()
    canvas.drawString(60, 800, "Application for cover of a building with all of its contents")
    form = canvas.acroForm
    form.textfield(name="holder", tooltip="Name of policyholder", value="Marisol Vega", y=700)
    form.checkbox(name="year", tooltip="Occupied all year", checked=True, y=650)
    form.checkbox(name="rented", tooltip="Let to tenants", checked=False, y=620)
    form.radio(name="roof", tooltip="Roof", value="thatch", selected=True, y=590)
    form.radio(name="roof", tooltip="Roof", value="tiles", selected=False, x=60, y=590)
    form.choice(name="land", tooltip="Country", value="Austria", options=["Austria", "Italy"])
    canvas.save()
    text = parse_document(buffer.getvalue(), "a.pdf").text
    assert "☒ Occupied all year" in text
    assert "☐ Let to tenants" in text
    assert "☒ Roof: thatch" in text
    assert "Name of policyholder: Marisol Vega" in text
    assert "Country: Austria" in text


def test_text_typed_onto_a_page_is_kept() -> None:
    with pikepdf.open(io.BytesIO(draw_pdf(page_content([(60, 780, "Claimant:")])))) as document:
        document.pages[0].Annots = pikepdf.Array(
            [
                pikepdf.Dictionary(
                    Type=pikepdf.Name.Annot,
                    Subtype=pikepdf.Name.FreeText,
                    Rect=pikepdf.Array([150, 770, 300, 790]),
                    Contents="Marisol Vega",
                    DA="/F1 10 Tf 0 g",
                )
            ]
        )
        buffer = io.BytesIO()
        document.save(buffer)
    assert "Marisol Vega" in parse_document(buffer.getvalue(), "a.pdf").text


@pytest.mark.parametrize(
    ("base", "raised", "expected"),
    [
        ("EUR 750", "1", "EUR 750¹"),
        ("area of 120 m", "2", "120 m²"),
        ("EUR 1,200", "12", "200¹²"),
    ],
)
def test_a_raised_digit_never_joins_a_number(base: str, raised: str, expected: str) -> None:
    content = (
        f"BT /F1 11 Tf 1 0 0 1 60 780 Tm (The deductible is {base}) Tj "
        f"5 Ts /F1 7 Tf ({raised}) Tj 0 Ts /F1 11 Tf ( for each claim) Tj ET "
        f"BT /F1 8 Tf 1 0 0 1 60 60 Tm ({raised} Except for glass, where none applies.) Tj ET"
    )
    text = parse_document(draw_pdf(content.encode()), "a.pdf").text
    assert expected in text
