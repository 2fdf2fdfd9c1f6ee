"""`sidecar models cache`: converted models on disk, which need no engine to be looked at."""

import argparse
import time
from pathlib import Path

from sidecar.cli.exit_codes import OK
from sidecar.cli.output import bytes_text, note, out, print_json, printable
from sidecar.config import LibrarySettings, user_cache_dir


def add_command(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Its arguments."""
    parser = actions.add_parser(
        "cache",
        help="converted models on disk",
        description="What conversions have left on disk; it is made again when it is needed.",
    )
    parser.add_argument("--clean", action="store_true", help="remove all of them")
    parser.add_argument("--cache-dir", metavar="DIR", type=Path, help="where they are kept")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List them, or remove them."""
    from sidecar.library.convert import converted_cache

    settings = LibrarySettings(cache_dir=arguments.cache_dir or user_cache_dir())
    cache = converted_cache(settings)
    if arguments.clean:
        freed = cache.clean()
        if arguments.json:
            print_json({"freed_bytes": freed})
        else:
            print(f"{bytes_text(freed)} freed in {printable(str(settings.cache_dir), True)}")
        return OK
    entries = cache.entries()
    if arguments.json:
        print_json(
            [
                {
                    "model": entry.model,
                    "executor": entry.executor,
                    "quantization": entry.quantization,
                    "bytes": entry.size,
                    "last_used": entry.last_used,
                    "path": str(entry.folder),
                }
                for entry in entries
            ]
        )
        return OK
    if not entries:
        note(f"sidecar: no converted model in {settings.cache_dir}")
        return OK
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("model", "size", "executor", "quantization", "last used"):
        table.add_column(name, justify="right" if name == "size" else "left", overflow="fold")
    for entry in entries:
        table.add_row(
            Text(printable(entry.model, True), style="bold"),
            bytes_text(entry.size),
            entry.executor,
            entry.quantization,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_used)),
        )
    out().print(table)
    return OK
