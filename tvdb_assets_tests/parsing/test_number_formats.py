"""Numbers of spreadsheets are written as their cells show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.parsing.reading.number_formats import EPOCH_1904, code_of, show_number

_PHONE = "[<=9999999]###-####;(###) ###-####"


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        # Whole numbers keep all digits, others lose the noise of their binary form.
        ("2026000000000417", "", "2026000000000417"),
        ("4111111111111111", "General", "4111111111111111"),
        ("1E+16", "", "10000000000000000"),
        ("0.30000000000000004", "", "0.3"),
        ("1e-07", "", "0.0000001"),
        ("-0", "", "0"),
        # Leading zeros and literals between the digits.
        ("471", "00000", "00471"),
        ("7", "0000000000", "0000000007"),
        ("123456789", "000-00-0000", "123-45-6789"),
        ("4930123456", _PHONE, "(493) 012-3456"),
        ("5551234", _PHONE, "555-1234"),
        ("3", '000" "000', "000 003"),
        # Amounts, rounded half up as a sheet does.
        ("1234.5", "_-[$\u20ac-407]* #,##0.00_-", "\u20ac1,234.50"),
        ("1234.5678", "#,##0.00", "1,234.57"),
        ("2.675", "0.00", "2.68"),
        ("1234567.891", "#,##0.0#", "1,234,567.89"),
        ("-1234.5", '"EUR" #,##0.00', "-EUR 1,234.50"),
        ("-500", "#,##0;[Red](#,##0)", "(500)"),
        ("1250000", '#,##0,"k"', "1,250k"),
        ("1234", "0.0,", "1.2"),
        ("1234567890", '0.00,,"M"', "1234.57M"),
        ("120", '0" m\u00b2"', "120 m\u00b2"),
        ("1.5", '0.00" days"', "1.50 days"),
        ("1234567", "[Red]#,##0", "1,234,567"),
        ("-0.004", "0.00", "0.00"),
        ("12", "#,##0", "12"),
        ("0", "#,##0.00", "0.00"),
        # Percents, exponents, fractions.
        ("0.0725", "0.00%", "7.25%"),
        ("0.333333", "0%", "33%"),
        ("-0.5", "0.0%", "-50.0%"),
        ("12345.678", "0.00E+00", "1.23E+04"),
        ("1.5", "# ?/?", "1 1/2"),
        ("0.5", "# ?/?", "1/2"),
        # Durations are no times of day, and no dates.
        ("0.1041666666666667", "[h]:mm", "2:30"),
        ("1.25", "[hh]:mm:ss", "30:00:00"),
        ("0.06597222222222222", "[mm]:ss", "95:00"),
        ("-0.25", "[h]:mm", "-6:00"),
        ("0.0001", "[ss]", "09"),
        # Dates by ISO 8601, times of day.
        ("36526", "[$-409]d mmm yy;@", "2000-01-01"),
        ("46095", "dd.mm.yyyy", "2026-03-14"),
        ("46095", '"am "d. mmmm yyyy', "2026-03-14"),
        ("46095.39583333334", "yyyy-mm-dd h:mm:ss", "2026-03-14 09:30"),
        ("46095", "mmm yyyy", "2026-03"),
        ("46095", "yyyy", "2026"),
        ("0.3958333333333333", "hh:mm", "09:30"),
        ("1.5", "h:mm", "12:00"),
        ("-1", "yyyy-mm-dd", "-1"),
        # Sections by sign; a format that hides everything hides nothing here.
        ("1", '"Yes";;"No"', "Yes"),
        ("0", '"Yes";;"No"', "No"),
        ("42", ";;;", "42"),
        ("5", '"EUR "General', "EUR 5"),
        ("5", "@", "5"),
        ("no number", "0.00", "no number"),
    ],
)
def test_a_number_is_shown_by_its_format(value: str, code: str, shown: str) -> None:
    assert show_number(value, code) == shown


@pytest.mark.parametrize(
    ("number", "own", "value", "shown"),
    [
        ("14", None, "36526", "2000-01-01"),
        ("22", None, "36526.75", "2000-01-01 18:00"),
        ("20", None, "0.5", "12:00"),
        ("46", None, "1.25", "30:00:00"),
        ("10", None, "0.0725", "7.25%"),
        ("0", None, "0.30000000000000004", "0.3"),
        ("14", "0.0", "2", "2.0"),
        ("x", None, "2", "2"),
    ],
)
def test_formats_without_a_code_are_built_in(
    number: str, own: str | None, value: str, shown: str
) -> None:
    assert show_number(value, code_of(number, own)) == shown


def test_days_are_counted_from_1904_where_the_workbook_says_so() -> None:
    assert show_number("0", "yyyy-mm-dd", EPOCH_1904) == "1904-01-01"


@given(st.floats(), st.text("0#?,.%E+-/;[]@ymdhs<>=_* $a1", max_size=30))
def test_no_format_makes_a_number_fail(value: float, code: str) -> None:
    assert isinstance(show_number(repr(value), code), str)
