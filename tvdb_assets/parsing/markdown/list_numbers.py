"""Numbers of lists and notes in the formats that Office and HTML have: ``iv``, ``BB``, ``22nd``.

What belongs here: writing a number. What does not: counting.
"""

from __future__ import annotations

_ROMAN = (
    (1_000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
    (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
_RUSSIAN = "абвгдежзиклмнопрстуфхцчшщэюя"
_NOTE_MARKS = "*†‡§"


def format_number(number: int, form: str) -> str:
    """A number in a format of WordprocessingML; an unknown format is decimal."""
    if form == "none":
        return ""
    if form == "decimalZero":
        return f"{number:02d}"
    if form.startswith("zeros"):
        return f"{number:0{int(form[5:])}d}"
    if form == "numberInDash":
        return f"- {number} -"
    if number < 1 or number > 9_999:
        return str(number)
    if form in {"lowerRoman", "upperRoman"}:
        text = _roman(number)
        return text if form == "lowerRoman" else text.upper()
    if form in {"lowerLetter", "upperLetter", "russianLower", "russianUpper"}:
        letters = _RUSSIAN if form.startswith("russian") else "abcdefghijklmnopqrstuvwxyz"
        times, at = divmod(number - 1, len(letters))
        text = letters[at] * (times + 1)
        return text.upper() if form in {"upperLetter", "russianUpper"} else text
    if form == "ordinal":
        ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
        return f"{number}{ending or 'th'}"
    if form in {"cardinalText", "ordinalText"} and number < 100:
        return _in_words(number, is_ordinal=form == "ordinalText")
    if form == "hex":
        return f"{number:X}"
    if form == "chicago":
        times, at = divmod(number - 1, len(_NOTE_MARKS))
        return _NOTE_MARKS[at] * (times + 1)
    if form == "decimalEnclosedCircle" and number <= 20:
        return chr(0x2460 + number - 1)
    return str(number)


def _roman(number: int) -> str:
    text = ""
    for value, letters in _ROMAN:
        times, number = divmod(number, value)
        text += letters * times
    return text


def _in_words(number: int, *, is_ordinal: bool) -> str:
    tens, ones = divmod(number, 10)
    words = [_WORDS[number]] if number < 20 else [_TENS[tens], *([_WORDS[ones]] if ones else [])]
    if is_ordinal:
        last = words[-1]
        words[-1] = _ORDINALS.get(last) or (last[:-1] + "ieth" if last[-1] == "y" else last + "th")
    return "-".join(words).capitalize()
