"""Pictures (PNG, JPEG, TIFF and others): the text on them, read by OCR.

What belongs here: picture files. What does not: reading (`ocr`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.formats import ocr
from tvdb_assets.parsing.formats.active_limits import allowed, over_limit
from tvdb_assets.parsing.formats.assemble import make
from tvdb_assets.parsing.formats.base import BaseParser
from tvdb_assets.parsing.formats.refusals import corrupt, empty, unsupported

if TYPE_CHECKING:
    from PIL.Image import Image

_WHAT = "picture"
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
_RAW_PHOTOGRAPH = 50_706  # the tag of DNG's version
_WIDTH_INCHES = 8.5  # of the sheet that a picture without a resolution is taken for
_LEAST_DPI, _MOST_DPI = 70.0, 600.0
_COARSE_DPI = 200.0  # below, a picture is enlarged: letters need some 20 pixels
_MOST_ENLARGED = 4_000_000  # pixels before that


class ImageParser(BaseParser):
    """Each picture is a page; a TIFF may hold many."""

    media_types = frozenset(
        {
            *("image/png", "image/apng", "image/jpeg", "image/tiff"),
            *("image/bmp", "image/gif", "image/webp"),
        }
    )
    name = "pictures (PNG, JPEG, TIFF, BMP, GIF, WebP)"
    kept = "the text on them, by OCR in the installed languages, with its confidence"
    lost = "tables' shape, what is not text, frames after the first of GIF and WebP"
    service = "tesserocr"
    also = ("pillow",)

    @property
    def fingerprint(self) -> str:
        return f"{super().fingerprint}:{ocr.fingerprint()}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Read a picture; one without legible text is empty."""
        if not ocr.is_available():
            raise _unavailable()
        with ocr.reader() as api:
            read = [ocr.read(api, picture, dpi) for picture, dpi in _pictures(data)]
        sure = [page.confidence for page in read if page.text]
        if not sure:
            raise empty("The picture")
        mean = round(sum(sure) / len(sure))
        return make(
            [page.text for page in read],
            media_type=media_type,
            is_markdown=False,
            service=self.service,
            model=f"tesseract {ocr.languages()}",
            has_pages=True,
            notes=(f"text is read by OCR with {mean} % confidence",),
            facts={"pages": len(read), "pages_ocr": len(sure), "ocr_confidence": mean},
        )


def _unavailable() -> ParseError:
    return codes.OCR_UNAVAILABLE.error()


def _raw() -> ParseError:
    from tvdb_assets.parsing.formats import supported_names

    return unsupported("a raw photograph (DNG)", supported_names())


def _pictures(data: bytes) -> Iterator[tuple[Image, float]]:
    """Each frame and its dots per inch."""
    from PIL import Image, UnidentifiedImageError

    # Sizes are checked here, before anything is unpacked.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            frames = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
            if frames > allowed().ocr_max_pages:
                raise over_limit(_WHAT, "ocr_max_pages", "pages to read by OCR")
            if _RAW_PHOTOGRAPH in getattr(picture, "tag_v2", ()):
                raise _raw()
            dpi = _resolution(picture)
            for frame in range(frames):
                picture.seek(frame)
                if picture.width * picture.height > allowed().max_picture_megapixels * 1_000_000:
                    raise over_limit(_WHAT, "max_picture_megapixels", "megapixels")
                yield _ready(picture, dpi)
    except ParseError:
        raise
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, IndexError):
        raise corrupt(_WHAT, "it can't be unpacked") from None


def _ready(picture: Image, dpi: float) -> tuple[Image, float]:
    from PIL import ImageOps

    upright = ocr.flat(ImageOps.exif_transpose(picture))
    if dpi < _COARSE_DPI and upright.width * upright.height <= _MOST_ENLARGED:
        factor = allowed().ocr_dpi / dpi
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
    # Screens write 72 or 96 whatever they show.
    if not 120 <= dpi <= _MOST_DPI:
        dpi = picture.width / _WIDTH_INCHES
    return min(max(dpi, _LEAST_DPI), _MOST_DPI)


PARSER = ImageParser()
