"""`python -m sidecar`, the `sidecar` command, the frozen binary: started by an application or by a person."""

import sys


def main() -> int:
    """Route to what was asked for, importing nothing that it does not need. Returns the exit status."""
    arguments = sys.argv[1:]
    if arguments == ["--guard"]:
        from sidecar.lifecycle.guard_process import run_guard

        return run_guard()
    if arguments == ["--convert"]:
        from sidecar.library.converter import run_converter

        return run_converter()
    if arguments:
        from sidecar.cli.main import run

        return run(arguments)
    if sys.stdin is not None and sys.stdin.isatty():
        from sidecar.cli.main import build_parser

        build_parser().print_usage(sys.stderr)
        return 2
    from sidecar.app import run_spawned

    return run_spawned()


if __name__ == "__main__":
    sys.exit(main())
