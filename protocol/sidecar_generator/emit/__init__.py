"""One module for each form the schema is written in.

Each has `emit(schema) -> Files`: whole files by their path from the project's
root, as they are committed. A new language is a module here and a line below.
"""

from collections.abc import Callable

from sidecar_generator import vectors
from sidecar_generator.emit import markdown, python, rust, typescript
from sidecar_generator.schema import Schema

Files = dict[str, str]
Emitter = Callable[[Schema], Files]

EMITTERS: tuple[Emitter, ...] = (markdown.emit, python.emit, rust.emit, typescript.emit, vectors.emit)
