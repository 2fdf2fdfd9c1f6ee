"""Names and lines, as generated files need them."""

import re
import textwrap

WIDTH = 110


def pascal(name: str) -> str:
    """models.load_all -> ModelsLoadAll"""
    return "".join(part.capitalize() for part in re.split(r"[._]", name))


def docstring(doc: str, indent: int, *, width: int = WIDTH) -> str:
    """A Python docstring at this depth, with its quotes and without a newline at the end."""
    margin = " " * indent
    first, _, rest = doc.partition("\n\n")
    one_line = f'{margin}"""{" ".join(doc.split())}"""'
    if not rest and len(one_line) <= width:
        return one_line
    paragraphs = [" ".join(paragraph.split()) for paragraph in (first, *rest.split("\n\n")) if paragraph]
    if len(margin) + 6 + len(paragraphs[0]) > width:
        sentence, stop, more = paragraphs[0].partition(". ")
        paragraphs[:1] = [sentence + stop.strip(), more] if more else [paragraphs[0]]
    wrapped = [textwrap.fill(paragraph, width - indent - 6) for paragraph in paragraphs]
    body = textwrap.indent("\n\n".join(wrapped), margin)
    return f'{margin}"""{body.strip()}\n{margin}"""'
