"""Tables that read well on a terminal and are Markdown at the same time."""

from collections.abc import Sequence
from pathlib import Path


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with columns of even width; all but the first are aligned to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in (header, rule, *rows)
    )


def replace_section(document: Path, name: str, text: str) -> None:
    """Put `text` between the comments `<!-- begin NAME -->` and `<!-- end NAME -->` of a Markdown file.

    Raises ValueError when the file does not have both.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    content = document.read_text(encoding="utf-8")
    before, found_begin, rest = content.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"{document} must have the lines {begin!r} and {end!r}")
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
