"""Markdown tables and their place in the documentation."""

from pathlib import Path

import pytest

from benchmarks.tables import markdown_table, replace_section


def test_columns_are_even() -> None:
    table = markdown_table(["", "sidecar"], [["decode", "1.0"], ["prefill, long", "1,234.5"]])
    assert table.splitlines() == [
        "|               | sidecar |",
        "| ------------- | ------: |",
        "| decode        |     1.0 |",
        "| prefill, long | 1,234.5 |",
    ]


def test_section_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- begin a -->\nold\n<!-- end a -->\nafter\n")
    for text in ("new\nlines", "newer"):
        replace_section(document, "a", text)
        assert document.read_text() == f"before\n<!-- begin a -->\n{text}\n<!-- end a -->\nafter\n"


def test_document_without_the_section_is_refused_and_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("<!-- begin a -->\n")
    with pytest.raises(ValueError, match="end a"):
        replace_section(document, "a", "text")
    assert document.read_text() == "<!-- begin a -->\n"
