"""Which engine a command talks to: one that runs with `--socket`, or one of its own."""

import argparse
from pathlib import Path

from sidecar.cli.output import note
from sidecar.errors import InvalidParams
from sidecar.own_program import own_command
from sidecar_client import SyncEngine
from sidecar_client.errors import StartFailed
from sidecar_client.notices import (
    EngineCrashed,
    EngineFrozen,
    EngineGaveUp,
    EngineRestarted,
    EngineThawed,
    Notice,
)

CLI_APP_ID = "cli"


def add_engine_arguments(parser: argparse.ArgumentParser, *, may_spawn: bool = True) -> None:
    """Arguments that choose the engine."""
    group = parser.add_argument_group("engine")
    group.add_argument(
        "--connection",
        metavar="FILE",
        type=Path,
        help="attach to the engine of this connection file (default: the newest that runs)",
    )
    if may_spawn:
        group.add_argument("--spawn", action="store_true", help="start an engine of its own, attach to none")
        add_start_arguments(parser)


def add_start_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that become an engine's start options."""
    group = parser.add_argument_group("start options (for an engine that is started)")
    group.add_argument(
        "--model-dir",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="where models lie; repeatable",
    )
    group.add_argument("--cache-dir", metavar="DIR", type=Path, help="where converted models are kept")
    group.add_argument("--threads", metavar="N", type=int, help="threads to compute with")
    group.add_argument("--device", help="auto, cpu, cuda …")
    group.add_argument("--executor", help="native or torch")
    group.add_argument("--kernel-path", metavar="NAME", help="instruction set; `sidecar doctor` lists them")
    group.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], help="what the engine logs"
    )


def start_options(arguments: argparse.Namespace) -> dict[str, object]:
    """The start options that were given."""
    options: dict[str, object] = {
        "model_dirs": [str(folder.absolute()) for folder in arguments.model_dir] or None,
        "cache_dir": str(arguments.cache_dir.absolute()) if arguments.cache_dir is not None else None,
        "threads": arguments.threads,
        "device": arguments.device,
        "kernel_path": arguments.kernel_path,
        "log_level": arguments.log_level,
        "executor": arguments.executor,
    }
    return {name: value for name, value in options.items() if value is not None}


def open_engine(arguments: argparse.Namespace) -> SyncEngine:
    """Attach; or start one when none runs, with `--spawn` or a start option. Raises StartFailed."""
    options = start_options(arguments)
    wants_own = arguments.spawn or bool(options)
    if arguments.connection is not None:
        if wants_own:
            raise InvalidParams(
                "--connection attaches to an engine that runs; start options and --spawn do not apply"
            )
        return attach_engine(arguments)
    if not wants_own:
        try:
            return attach_engine(arguments)
        except StartFailed as error:
            if error.code != "not_found":
                note(f"sidecar: {error.message}; an engine of its own is started")
    return spawn_engine(options)


def attach_engine(arguments: argparse.Namespace) -> SyncEngine:
    """Attach to the engine that was named, or the newest. Raises StartFailed."""
    return SyncEngine.connect(arguments.connection, on_notice=_show_notice)


def spawn_engine(options: dict[str, object]) -> SyncEngine:
    """Start an engine of its own. Raises StartFailed."""
    return SyncEngine.spawn(own_command(), app_id=CLI_APP_ID, options=options, on_notice=_show_notice)


def _show_notice(notice: Notice) -> None:
    match notice:
        case EngineFrozen(seconds):
            note(f"sidecar: the engine has not answered for {seconds:.0f} s")
        case EngineThawed():
            note("sidecar: the engine answers again")
        case EngineRestarted():
            note("sidecar: the engine was started again")
        case EngineGaveUp(error):
            note(f"sidecar: {error.message}")
        case EngineCrashed():
            # The request that met it says so.
            pass
