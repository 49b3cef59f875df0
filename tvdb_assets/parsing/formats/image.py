"""Pictures (PNG, JPEG, TIFF and others): their text, read by OCR.

What belongs here: picture files. What does not: recognition of text (`reading.ocr`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.format_protocol import UnsupportedVariantError
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading import ocr

if TYPE_CHECKING:
    from PIL.Image import Image

_DOCUMENT_KIND = "picture"
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "HEIF", "AVIF")
_RAW_PHOTOGRAPH = 50_706  # the tag that states DNG's version
_WIDTH_INCHES = 8.5  # assumed paper width of a picture without a resolution
_MIN_DPI, _MAX_DPI = 70.0, 600.0
_COARSE_DPI = 200.0  # a picture below this is enlarged: letters need about 20 pixels
_MAX_ENLARGED = 4_000_000  # pixels; a larger picture is not enlarged


class ImageParser(BaseParser):
    """Reads each picture as a page; a TIFF file may hold many."""

    media_types = frozenset(
        {
            *("image/png", "image/apng", "image/jpeg", "image/tiff"),
            *("image/bmp", "image/gif", "image/webp"),
            *("image/heic", "image/heif", "image/heic-sequence", "image/avif"),
        }
    )
    name = "pictures (PNG, JPEG, TIFF, BMP, GIF, WebP, HEIC, AVIF)"
    preserved = "their text, by OCR in the installed languages, with its confidence"
    not_preserved = (
        "the shape of tables, everything but text, frames after the first of GIF and WebP"
    )
    imports = (
        "PIL.Image",
        "PIL.ImageOps",
        "PIL.ImageDraw",
        "PIL.ImageFilter",
        "PIL.ImageChops",
        "PIL.ImageStat",
        "PIL.PngImagePlugin",
        "PIL.JpegImagePlugin",
        "pi_heif",
        "tesserocr",
    )
    service = "tesserocr"
    other_libraries = ("pillow", "pi-heif")

    @property
    def fingerprint(self) -> str:
        return f"{super().fingerprint}:{ocr.fingerprint()}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Read a picture; without legible text it is refused as empty."""
        if not ocr.is_available():
            raise _unavailable()
        with ocr.tesseract() as api:
            read = [ocr.read_picture(api, picture, dpi) for picture, dpi in _pictures(data)]
        sure = [page.confidence for page in read if page.text]
        if not sure:
            raise empty("The picture")
        mean = round(sum(sure) / len(sure))
        is_partly = any(page.is_partly_read for page in read)
        return build_document(
            [page.text for page in read],
            media_type=media_type,
            is_markdown=False,
            service=self.service,
            model=f"tesseract {ocr.languages()}",
            has_pages=True,
            notes=(
                f"text is read by OCR with {mean} % confidence",
                *(("a part of the picture has ink that OCR did not read",) if is_partly else ()),
            ),
            facts={"pages": len(read), "pages_ocr": len(sure), "ocr_confidence": mean},
        )


def _unavailable() -> ParseError:
    return codes.OCR_UNAVAILABLE.error()


def _pictures(data: bytes) -> Iterator[tuple[Image, float]]:
    """Each frame and its dots per inch."""
    from pi_heif import register_heif_opener
    from PIL import Image, UnidentifiedImageError

    # Photos of phones; Pillow itself has no decoder for them.
    register_heif_opener()
    # The size is checked below, before anything is unpacked.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            frames = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
            if frames > current_limits().ocr_max_pages:
                raise over_limit(_DOCUMENT_KIND, "ocr_max_pages", "pages to read by OCR")
            if _RAW_PHOTOGRAPH in getattr(picture, "tag_v2", ()):
                raise UnsupportedVariantError("a raw photograph (DNG)")
            dpi = _resolution(picture)
            for frame in range(frames):
                picture.seek(frame)
                if (
                    picture.width * picture.height
                    > current_limits().max_picture_megapixels * 1_000_000
                ):
                    raise over_limit(_DOCUMENT_KIND, "max_picture_megapixels", "megapixels")
                yield _prepared(picture, dpi)
    except (ParseError, UnsupportedVariantError):
        raise
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, IndexError):
        raise corrupt(_DOCUMENT_KIND, "it can't be unpacked") from None


def _prepared(picture: Image, dpi: float) -> tuple[Image, float]:
    from PIL import ImageOps

    upright = ocr.to_grayscale(ImageOps.exif_transpose(picture))
    # Enlarged, speckles would be as large as the dots of letters.
    may_grow = not ocr.is_speckled(upright)
    if may_grow and dpi < _COARSE_DPI and upright.width * upright.height <= _MAX_ENLARGED:
        factor = current_limits().ocr_dpi / dpi
        factor = min(factor, 4.0)
        size = (max(1, round(upright.width * factor)), max(1, round(upright.height * factor)))
        return upright.resize(size), dpi * factor
    return upright, dpi


def _resolution(picture: Image) -> float:
    stated = picture.info.get("dpi")
    try:
        dpi = float(stated[0]) if stated else 0.0
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        dpi = 0.0
    # Programs write the screen's 72 or 96 for any picture.
    if not 120 <= dpi <= _MAX_DPI:
        dpi = picture.width / _WIDTH_INCHES
    return min(max(dpi, _MIN_DPI), _MAX_DPI)


PARSER = ImageParser()
