"""The reference page says what the schema says."""

from __future__ import annotations

from docs.make_reference import PAGE, reference


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: make docs"
