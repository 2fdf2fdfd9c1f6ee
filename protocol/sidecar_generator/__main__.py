"""Write the generated files, check them, or make the schema of today that of the last release."""

import argparse
import difflib
import sys
from pathlib import Path

from sidecar_generator.compare import breaking_changes
from sidecar_generator.emit import EMITTERS
from sidecar_generator.extract import extract
from sidecar_generator.schema import Schema, from_json, to_json

ROOT = Path(__file__).parents[2]
SCHEMA = "protocol/schema.json"
BASELINE = "protocol/baseline.json"
DIFFERENCE_LINES = 20


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Returns the exit status: 1 for files that are out of date, and for a change that breaks hosts."""
    parser = argparse.ArgumentParser(prog="sidecar_generator", description=__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="write nothing; fail on differences and breaks")
    choice.add_argument("--release", action="store_true", help=f"make the schema of today {BASELINE}")
    chosen = parser.parse_args(arguments)
    schema = extract()
    files = generated_files(schema)
    if chosen.check:
        return check(schema, files, root)
    if chosen.release:
        files[BASELINE] = files[SCHEMA]
    for path in write(files, root):
        print(f"wrote {path}")
    return 0


def generated_files(schema: Schema) -> dict[str, str]:
    """All of them, by their path from the root."""
    files = {SCHEMA: to_json(schema)}
    for emit in EMITTERS:
        files |= emit(schema)
    return files


def write(files: dict[str, str], root: Path) -> list[str]:
    """Write the files that have changed; gives their paths."""
    changed = [path for path, text in files.items() if _read(root / path) != text]
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path], encoding="utf-8")
    return changed


def check(schema: Schema, files: dict[str, str], root: Path) -> int:
    """Say what is out of date and what would break hosts of the last release; 1 for any."""
    stale = [path for path, text in files.items() if _read(root / path) != text]
    for path in stale:
        print(f"{path} is out of date; run `make generate`:", file=sys.stderr)
        committed = (_read(root / path) or "").splitlines()
        generated = files[path].splitlines()
        difference = difflib.unified_diff(committed, generated, "committed", "generated", lineterm="")
        print("\n".join(list(difference)[:DIFFERENCE_LINES]), file=sys.stderr)
    breaks = breaking_changes(from_json((root / BASELINE).read_text(encoding="utf-8")), schema)
    for broken in breaks:
        print(f"breaks hosts of the last release: {broken}", file=sys.stderr)
    return 1 if stale or breaks else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
