"""Number formats of spreadsheets: a stored number as its cell displays it.

What belongs here: format codes, as in SpreadsheetML and BIFF. What does not: cells
(`formats.xlsx`, `formats.xls`).

Digits, grouping, literals, currencies, percents, fractions and durations are as the cell shows them
in an English Excel. A date is written by ISO 8601, whatever its format, because 03/04/2026 has two
meanings; a format without a day gives year and month. White space for alignment is dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation, localcontext
from fractions import Fraction
from functools import lru_cache

EPOCH = datetime(1899, 12, 30)
EPOCH_1904 = datetime(1904, 1, 1)
_LAST_DAY = 2_958_466  # the day number of the end of the year 9999
_EXACT_DIGITS = 15  # of a number that is no whole number; further ones are noise of its binary form
_MAX_DIGITS = 60
_EXACT = Context(prec=800)
"""More digits than any number of a cell has with all places of its format."""
_BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"$"#,##0;("$"#,##0)',
    6: '"$"#,##0;("$"#,##0)', 7: '"$"#,##0.00;("$"#,##0.00)', 8: '"$"#,##0.00;("$"#,##0.00)',
    9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd",
    15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm", 19: "h:mm:ss", 20: "h:mm",
    21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 37: "#,##0;(#,##0)", 38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)", 40: "#,##0.00;(#,##0.00)", 41: "#,##0", 42: '"$"#,##0',
    43: "#,##0.00", 44: '"$"#,##0.00', 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss", 48: "##0.0E+0",
    49: "@", **dict.fromkeys((*range(27, 32), 36, *range(50, 55), 57, 58), "yyyy-mm-dd"),
    **dict.fromkeys((32, 33, 34, 35, 55, 56), "h:mm:ss"),
}  # fmt: skip
"""By number; those without a code in the file. Numbers 27 to 58 are of Asian versions."""
_TOKEN = re.compile(
    r'"([^"]{0,500})"?'  # 1: literal
    r"|\\(.)"  # 2: literal
    r"|_.|\*."  # white space, fill
    r"|\[\$([^\]\-]{0,20})(?:-[^\]]{0,40})?\]"  # 3: currency
    r"|\[(h+|m+|s+)\]"  # 4: duration
    r"|\[([<>=]{1,2})(-?[\d.]{1,20})\]"  # 5, 6: condition
    r"|\[[^\]]{0,100}\]"  # color, language
    r"|(general)"  # 7
    r"|(am/pm|a/p)"  # 8
    r"|(e[+-][0#?]{1,10})"  # 9: exponent
    r"|([ymdhsg]+)"  # 10: date and time
    r"|([0#?]+)"  # 11: digits
    r"|([.,%/@])"  # 12: signs
    r"|(.)",  # 13: literal
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Section:
    tokens: tuple[tuple[str, str], ...]
    condition: tuple[str, Decimal] | None

    def has(self, *kinds: str) -> bool:
        return any(kind in kinds for kind, _ in self.tokens)


def code_of(number: str, own: str | None) -> str:
    """The code of a format: the file's own, or the built-in one of its number; may be empty."""
    if own is not None:
        return own
    return _BUILT_IN.get(int(number), "") if number.isdecimal() and len(number) < 6 else ""


def show_number(value: str, code: str, epoch: datetime = EPOCH) -> str:
    """A stored number as its cell displays it.

    Args:
        value: as stored, e.g. ``0.0725`` or ``4.1E-2``; anything else is returned unchanged.
        code: of its format; empty for the general one.
        epoch: of day numbers.
    """
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    if not number.is_finite() or abs(number.adjusted()) > 300:
        return value
    with localcontext(_EXACT):
        sections = _sections(code)
        if not any(section.tokens for section in sections):
            return _general(number)
        section, shown = _chosen(sections, number)
        if section.has("duration"):
            return _duration(section, shown)
        if section.has("date"):
            return _moment(section, number, epoch)
        return _filled(section, shown)


@lru_cache(maxsize=512)
def _sections(code: str) -> tuple[_Section, ...]:
    sections: list[_Section] = []
    tokens: list[tuple[str, str]] = []
    condition: tuple[str, Decimal] | None = None
    for found in _TOKEN.finditer(code[:1_000]):
        literal = found[1] if found[1] is not None else found[2] or found[3] or found[13]
        if found[13] == ";":
            sections.append(_Section(tuple(tokens), condition))
            tokens, condition = [], None
        elif literal is not None:
            tokens.append(("literal", literal))
        elif found[4] is not None:
            tokens.append(("duration", found[4].lower()))
        elif found[5] is not None:
            try:
                condition = (found[5], Decimal(found[6]))
            except InvalidOperation:
                condition = None
        elif found[7] is not None:
            tokens.append(("general", ""))
        elif found[8] is not None:
            tokens.append(("noon", ""))
        elif found[9] is not None:
            tokens.append(("exponent", found[9]))
        elif found[10] is not None:
            if found[10].lower().strip("g"):
                tokens.append(("date", found[10].lower()))
        elif found[11] is not None:
            tokens.append(("digits", found[11]))
        elif found[12] is not None:
            tokens.append((found[12], found[12]))
    sections.append(_Section(tuple(tokens), condition))
    return tuple(sections)


def _chosen(sections: tuple[_Section, ...], number: Decimal) -> tuple[_Section, Decimal]:
    """The section for a number, and the number that it displays."""
    conditional = [section for section in sections[:2] if section.condition is not None]
    if conditional:
        for section in conditional:
            assert section.condition is not None
            sign, bound = section.condition
            holds = {
                "<": number < bound, "<=": number <= bound, ">": number > bound,
                ">=": number >= bound, "=": number == bound, "<>": number != bound,
            }.get(sign, False)  # fmt: skip
            if holds:
                return section, number
        rest = [section for section in sections if section.condition is None]
        return (rest or list(sections))[0], number
    if number < 0 and len(sections) > 1:
        return sections[1], -number
    if number == 0 and len(sections) > 2:
        return sections[2], number
    return sections[0], number


def _general(number: Decimal) -> str:
    """All digits of a whole number, and 15 significant ones of another."""
    if number != number.to_integral_value():
        number = round(number, _EXACT_DIGITS - 1 - number.adjusted())
    if number.adjusted() > 20 or number.adjusted() < -9:
        return f"{float(number):.15g}".replace("e", "E")
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _duration(section: _Section, number: Decimal) -> str:
    seconds = int((abs(number) * 86_400).to_integral_value(ROUND_HALF_UP))
    largest = next(text[0] for kind, text in section.tokens if kind == "duration")
    values = {
        "h": seconds // 3_600,
        "m": seconds // 60 if largest == "m" else seconds // 60 % 60,
        "s": seconds if largest == "s" else seconds % 60,
    }
    out = "-" if number < 0 else ""
    for kind, text in section.tokens:
        if kind in ("duration", "date"):
            out += f"{values.get(text[0], 0):0{len(text)}d}"
        elif kind == "literal":
            out += text
        elif kind == "digits" or kind == ".":
            continue  # parts of a second
    return out.rstrip(":").strip()


def _moment(section: _Section, number: Decimal, epoch: datetime) -> str:
    if not 0 <= number < _LAST_DAY:
        return _general(number)
    moment = epoch + timedelta(seconds=int((number * 86_400).to_integral_value(ROUND_HALF_UP)))
    letters = [text[0] for kind, text in section.tokens if kind == "date"]
    has_time = "h" in letters or "s" in letters
    has_date = "y" in letters or "d" in letters or ("m" in letters and not has_time)
    time = moment.strftime("%H:%M:%S").removesuffix(":00")
    if not has_date:
        return time
    if "d" in letters:
        date = moment.strftime("%Y-%m-%d") if moment.year >= 1_000 else moment.isoformat()[:10]
    else:
        date = moment.isoformat()[: 7 if "m" in letters else 4]
    is_midnight = (moment.hour, moment.minute, moment.second) == (0, 0, 0)
    return f"{date} {time}" if has_time and not is_midnight else date


def _filled(section: _Section, number: Decimal) -> str:
    """A section with digits: literals, and the number in its places."""
    tokens = section.tokens
    if section.has("@", "general") or not section.has("digits"):
        sign = "-" if number < 0 else ""
        return "".join(
            _general(number) if kind in ("general", "@") else text
            for kind, text in tokens
            if kind in ("general", "@", "literal", ".", ",", "/")
        ).strip() or (sign and _general(number))
    sign = "-" if number < 0 else ""
    number = abs(number)
    for kind, _ in tokens:
        if kind == "%":
            number *= 100
    if section.has("exponent"):
        return sign + _scientific(tokens, number)
    if section.has("/") and not section.has("."):
        return sign + _fraction(tokens, number)
    last = max(at for at, (kind, _) in enumerate(tokens) if kind == "digits")
    point = next((at for at, (kind, _) in enumerate(tokens) if kind == "."), len(tokens))
    end_of_whole = min(point, last + 1)
    first = next(at for at, (kind, _) in enumerate(tokens) if kind in ("digits", "."))
    # A comma after the last digit divides by a thousand; one between digits groups.
    scaled = 0
    for kind, _ in tokens[last + 1 :]:
        if kind != ",":
            break
        scaled += 1
    if point < last:
        back = point - 1
        while back > first and tokens[back][0] == ",":
            scaled += 1
            back -= 1
    number /= Decimal(1_000) ** scaled
    is_grouped = any(kind == "," for kind, _ in tokens[first:end_of_whole]) and first < point
    places = "".join(text for kind, text in tokens[point:] if kind == "digits")[:_MAX_DIGITS]
    number = number.quantize(Decimal(1).scaleb(-len(places)), ROUND_HALF_UP)
    if not number:
        sign = ""
    whole, _, part = f"{number:f}".partition(".")
    optional = len(places) - len(places.rstrip("#?"))
    kept = part.rstrip("0").ljust(len(part) - optional, "0") if optional else part
    out = _whole(tokens[:end_of_whole], "" if whole == "0" else whole, is_grouped)
    decimals = iter(kept)
    for kind, text in tokens[end_of_whole:]:
        if kind == "digits":
            out += "".join(digit for _, digit in zip(text, decimals, strict=False))
        elif kind == ".":
            out += "." if kept else ""
        elif kind in ("literal", "%", "/"):
            out += text
    return sign + out.strip()


def _whole(tokens: tuple[tuple[str, str], ...], digits: str, is_grouped: bool) -> str:
    """The whole part: digits fill the places from the right, the rest stands before the first."""
    out: list[str] = []
    places = sum(len(text) for kind, text in tokens if kind == "digits")
    left = list(digits)
    seen = 0
    for kind, text in reversed(tokens):
        if kind == "digits":
            for place in reversed(text):
                seen += 1
                digit = left.pop() if left else "0" if place == "0" else ""
                out.append(digit)
                if is_grouped and seen % 3 == 0 and (left or _needs_zero(tokens, seen)):
                    out.append(",")
                if seen == places:
                    while left:
                        seen += 1
                        out.append(left.pop())
                        if is_grouped and seen % 3 == 0 and left:
                            out.append(",")
        elif kind in ("literal", "%", "/"):
            out.append(text[::-1])
    return "".join(out)[::-1]


def _needs_zero(tokens: tuple[tuple[str, str], ...], seen: int) -> bool:
    """Whether a place to the left of those that are filled shows a zero."""
    places = "".join(text for kind, text in tokens if kind == "digits")
    return "0" in places[: len(places) - seen]


def _scientific(tokens: tuple[tuple[str, str], ...], number: Decimal) -> str:
    point = next((at for at, (kind, _) in enumerate(tokens) if kind == "."), len(tokens))
    places = sum(len(text) for kind, text in tokens[point:] if kind == "digits")
    mantissa, exponent = f"{number:.{places}E}".split("E")
    width = max(len(text) - 2 for kind, text in tokens if kind == "exponent")
    return f"{mantissa}E{exponent[0]}{exponent[1:].zfill(width)}"


def _fraction(tokens: tuple[tuple[str, str], ...], number: Decimal) -> str:
    slash = next(at for at, (kind, _) in enumerate(tokens) if kind == "/")
    width = next((len(text) for kind, text in tokens[slash:] if kind == "digits"), 1)
    has_whole = sum(kind == "digits" for kind, _ in tokens[:slash]) > 1
    value = Fraction(number).limit_denominator(10 ** min(width, 4) - 1)
    whole, rest = divmod(value, 1) if has_whole else (0, value)
    if not rest:
        return str(whole)
    shown = f"{rest.numerator}/{rest.denominator}"
    return f"{whole} {shown}" if whole else shown
