"""Kinds of files: recognized by their content, each refused kind with its own name, photos read."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable

import pikepdf
import pytest
from PIL import Image, ImageDraw

from tvdb_assets.errors import ParseError
from tvdb_assets.parsing import document_parser
from tvdb_assets.parsing.container_members import ContainerBudget, extract_members, list_members
from tvdb_assets.parsing.document_parser import identify_document, parse_document
from tvdb_assets.parsing.format_registry import parser_for
from tvdb_assets_tests.parsing.sample_files import make_pdf
from tvdb_assets_tests.parsing.sample_office_files import make_doc, make_msg, make_ole, make_xls

_BUDGET = ContainerBudget(1, 100, 1 << 24)


def _zip(names: Iterable[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def _error(data: bytes, name: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_document(data, name)
    return caught.value


# --- OLE files by their root directory


@pytest.mark.parametrize("name", ["EncryptionInfo", "EncryptedPackage", "EncryptedSummary"])
def test_the_name_of_a_stream_in_a_text_encrypts_nothing(name: str) -> None:
    mention = f"The stream {name} holds the key.".encode("utf-16-le")
    for data, path in ((make_doc(), "a.doc"), (make_xls(), "a.xls"), (make_msg(), "a.msg")):
        sniffed = identify_document(data + mention.ljust(512, b"\0"), path)
        assert (sniffed.is_encrypted, sniffed.media_type) == (
            False,
            identify_document(data, path).media_type,
        )


def test_a_document_inside_of_an_ole_file_does_not_tell_its_kind() -> None:
    workbook = {"Workbook": b"\x09\x08\x10\x00", "ObjectPool/WordDocument": bytes(600)}
    assert identify_document(make_ole(workbook), "a").media_type == "application/vnd.ms-excel"
    other = {"Contents": b"x" * 600, "Embedded/Workbook": b"\x09\x08\x10\x00"}
    assert identify_document(make_ole(other), "a").media_type == "application/x-ole-storage"


def test_an_ole_file_with_a_password_is_encrypted() -> None:
    package = {"EncryptionInfo": b"x" * 100, "EncryptedPackage": b"x" * 600}
    assert _error(make_ole(package), "a.docx").code == "encrypted"
    locked = bytearray(600)
    locked[10:12] = struct.pack("<H", 0x0100)
    assert _error(make_ole({"WordDocument": bytes(locked)}), "a.doc").code == "encrypted"
    filepass = b"\x09\x08\x04\x00" + bytes(4) + b"\x2f\x00\x02\x00\x00\x00"
    assert _error(make_ole({"Workbook": filepass}), "a.xls").code == "encrypted"


# --- refused kinds


@pytest.mark.parametrize(
    ("data", "path", "name"),
    [
        (_zip(["Index/Document.iwa", "preview.jpg"]), "a.pages", "Apple Pages document"),
        (_zip(["Index/Document.iwa", "preview.jpg"]), "a.numbers", "Apple Numbers"),
        (_zip(["Index/Slide.iwa", "preview.jpg"]), "a.key", "Apple Keynote"),
        (_zip(["Index/Document.iwa"]), "a.zip", "Pages, Numbers or Keynote"),
        (bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(900), "a.one", "OneNote"),
        (make_ole({"FileHeader": b"x" * 600, "BodyText/Section0": b"x"}), "a.hwp", "Hangul"),
        (make_ole({"VisioDocument": b"x" * 600}), "a.vsd", "Visio"),
        (make_ole({"Quill": b"x" * 600}), "a.pub", "Publisher"),
        (b"ITSF\x03\x00\x00\x00" + bytes(900), "manual.chm", "compiled HTML help"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA5\n-----END PGP MESSAGE-----\n", "a.txt", "PGP"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA5\n-----END PGP MESSAGE-----\n", "a.asc", "PGP"),
    ],
)
def test_a_kind_that_is_not_read_is_named(data: bytes, path: str, name: str) -> None:
    error = _error(data, path)
    assert error.code in ("unsupported", "mislabelled")
    assert name in error.message


@pytest.mark.parametrize(
    ("data", "path", "code", "words"),
    [
        (b"4 0 obj\n<</Length 9>> stream\nBT ET\nendstream\nendobj\n", "a.txt", "corrupt", "PDF"),
        (b"xref\n0 1\ntrailer <</Size 1>>\nstartxref\n9\n%%EOF\n", "a.md", "corrupt", "PDF"),
        (b"\x85\x02\x0c\x03" + bytes(range(256)), "a.gpg", "unsupported", "PGP"),
        (b"HWP Document File V3.00 \x1a" + bytes(range(256)), "a.hwp", "unsupported", "Hangul"),
        (_zip(["index.xml", "thumbs/PageCapThumbV2-1.tiff"]), "a.pages", "unsupported", "Pages"),
    ],
)
def test_binary_and_pdf_syntax_are_never_text(
    data: bytes, path: str, code: str, words: str
) -> None:
    error = _error(data, path)
    assert (error.code, words in error.message) == (code, True)


def test_a_text_about_pdf_is_a_text() -> None:
    source = b"In a PDF, 4 0 obj starts an object.\n\nendobj and endstream end them.\n"
    assert parse_document(source, "a.txt").text.startswith("In a PDF")


def test_a_panic_of_a_library_is_an_error_of_the_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class PanicException(BaseException):
        """As the Rust bindings raise it."""

    def panic(*_: object) -> None:
        raise PanicException("index out of bounds: the document's words")

    for media_type in ("text/html", "text/x-rst"):
        monkeypatch.setattr(type(parser_for(media_type)), "parse", panic)
    error = _error(b"<html><body>words</body></html>", "a.html")
    assert (error.code, "PanicException" in error.message) == ("corrupt", True)
    assert "words" not in error.message
    kept = document_parser.parse_document(b"Title\n=====\n\nwords\n", "a.rst")
    assert "words" in kept.text


# --- photos


@pytest.mark.parametrize(("kind", "suffix"), [("AVIF", "avif"), ("WEBP", "webp"), ("JPEG", "bin")])
def test_photos_are_read(kind: str, suffix: str) -> None:
    picture = Image.new("RGB", (1_000, 300), "white")
    ImageDraw.Draw(picture).text((40, 100), "Repair invoice 2291", "black", font_size=72)
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    assert "2291" in parse_document(buffer.getvalue(), f"photo.{suffix}").text


def test_a_photo_of_a_phone_is_told_by_its_content() -> None:
    start = bytes.fromhex("000000186674797068656963000000006d696631686569636d696166")
    for name in ("a.heic", "a.jpg", "a"):
        assert identify_document(start + bytes(600), name).media_type == "image/heic"
    assert _error(start + bytes(600), "a.heic").code == "corrupt"


# --- MDX


@pytest.mark.parametrize(
    ("source", "kept", "dropped"),
    [
        ('import X from "./x"\n\n# Title\n\nWords.', "# Title", "import"),
        ("# T\n\nexport const a = {b: 1}\n\nWords.", "Words.", "export"),
        ('# T\n\n<Callout type="warning">Take care.</Callout>', "Take care.", "Callout"),
        ("# T\n\n{/* a remark of the author */}\n\nWords.", "Words.", "remark"),
        ("# T\n\n<Tabs.Item>\n\n- one\n\n</Tabs.Item>", "- one", "Tabs"),
    ],
)
def test_mdx_is_markdown_without_its_code(source: str, kept: str, dropped: str) -> None:
    parsed = parse_document(source.encode(), "a.mdx")
    assert parsed.media_type == "text/markdown"
    assert parsed.headings
    assert kept in parsed.text
    assert dropped not in parsed.text


def test_a_block_of_code_in_mdx_stays() -> None:
    source = (
        '# T\n\n```jsx\nimport X from "./x"\n<X>a</X>\n```\n\nWords import nothing from "here".'
    )
    parsed = parse_document(source.encode(), "a.mdx")
    assert 'import X from "./x"\n<X>a</X>' in parsed.text
    assert 'Words import nothing from "here".' in parsed.text


# --- text boxes of rich text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            rb"Before {\shp{\*\shpinst{\sp{\sn a}{\sv 202}}{\shptxt\pard Limit 500\par}}}after\par",
            "Limit 500\n\nBefore after",
        ),
        (
            rb"Before {\*\do\dobxcolumn{\dptxbxtext\pard Limit 500\par}}after\par",
            "Limit 500\n\nBefore after",
        ),
        (
            rb"{\shp{\*\shpinst{\shptxt Limit 500\par}}"
            rb"{\shprslt{\*\do{\dptxbxtext Limit 500}}}}x\par",
            "Limit 500\n\nx",
        ),
        (
            rb"{\shp{\*\shpinst{\shptxt\pard a\par b\par}}}x\par{\shp{\*\shpinst{\shptxt c}}}y\par",
            "a\n\nb\n\nx\n\nc\n\ny",
        ),
        # The text of a header stays out, with its boxes.
        (rb"{\header{\shp{\*\shpinst{\shptxt\pard Head\par}}}}x\par", "x"),
    ],
)
def test_text_boxes_of_rich_text_are_paragraphs(source: bytes, text: str) -> None:
    data = rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}}" + source + b"}"
    assert parse_document(data, "a.rtf").text == text


# --- documents inside of a PDF or a message


def _pdf_with_files() -> bytes:
    with pikepdf.open(io.BytesIO(make_pdf(["A cover page"]))) as document:
        document.attachments["bill.xml"] = b"<bill><sum>480</sum></bill>"
        document.attachments["notes/letter.txt"] = b"The letter."
        pinned = pikepdf.AttachedFileSpec(document, b"Pinned words.", filename="pinned.txt")
        document.pages[0].Annots = document.make_indirect(
            pikepdf.Array(
                [
                    pikepdf.Dictionary(
                        Type=pikepdf.Name.Annot,
                        Subtype=pikepdf.Name.FileAttachment,
                        Rect=[0, 0, 9, 9],
                        FS=pinned.obj,
                    )
                ]
            )
        )
        buffer = io.BytesIO()
        document.save(buffer, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return buffer.getvalue()


def test_files_of_a_pdf_are_documents_of_their_own() -> None:
    data = _pdf_with_files()
    parsed = parse_document(data, "a.pdf")
    assert "A cover page" in parsed.text
    assert parsed.facts["attachments"] == 3
    members = list_members(data, parsed.media_type, _BUDGET)
    assert [member.name for member in members] == ["bill.xml", "letter.txt", "pinned.txt"]
    contents = extract_members(data, parsed.media_type, [0, 1, 2])
    assert contents[1:] == [b"The letter.", b"Pinned words."]


def test_a_pdf_without_files_has_no_members() -> None:
    assert "attachments" not in parse_document(make_pdf(["A page"]), "a.pdf").facts
    assert list_members(make_pdf(["A page"]), "application/pdf", _BUDGET) == []


def test_a_message_that_is_attached_brings_its_attachments() -> None:
    inner = "__attach_version1.0_#00000000/__substg1.0_3701000D"
    wide = {
        f"{inner}/__properties_version1.0": bytes(24),
        f"{inner}/__substg1.0_0037001F": "The inner claim",
        f"{inner}/__substg1.0_1000001F": "Words of the inner message.",
        "__attach_version1.0_#00000000/__substg1.0_3001001F": "Forwarded",
        f"{inner}/__attach_version1.0_#00000000/__substg1.0_3707001F": "bill.txt",
        f"{inner}/__attach_version1.0_#00000000/__substg1.0_37010102": b"480 euros",
        "__properties_version1.0": bytes(32),
        "__substg1.0_1000001F": "Words.",
    }
    data = make_ole(
        {
            name: content.encode("utf-16-le") if isinstance(content, str) else content
            for name, content in wide.items()
        }
    )
    kind = "application/vnd.ms-outlook"
    members = list_members(data, kind, _BUDGET)
    assert [member.name for member in members] == ["Forwarded.txt", "Forwarded/bill.txt"]
    text, bill = extract_members(data, kind, [0, 1])
    assert b"Words of the inner message." in text
    assert bill.rstrip(b"\0") == b"480 euros"
