"""What the Python driver says: lines of JSON on stdout, and the client's objects as plain ones."""

import json
from typing import Any

from sidecar_client import (
    EngineCrashed,
    EngineError,
    EngineFrozen,
    EngineGaveUp,
    EngineLost,
    EngineRestarted,
    EngineThawed,
    Notice,
    StartFailed,
)

Fields = dict[str, Any]


def say(word: str, **fields: object) -> None:
    """One line on stdout."""
    print(json.dumps({"said": word, **fields}, default=_bytes_to_plain), flush=True)


def read_line(line: bytes) -> Fields:
    """A command. Raises ValueError."""
    given = json.loads(line, object_hook=_bytes_from_plain)
    if not isinstance(given, dict):
        raise ValueError("a command is an object")
    return given


def error_fields(error: EngineError) -> Fields:
    """An error."""
    fields = {
        "class": type(error).__name__,
        "code": error.code,
        "message": error.message,
        "data": error.data,
        "retryable": error.retryable,
    }
    if isinstance(error, EngineLost | StartFailed):
        fields |= {"exit_status": error.exit_status, "stderr_tail": list(error.stderr_tail)}
    if isinstance(error, EngineLost):
        fields["may_have_executed"] = error.may_have_executed
    return fields


def notice_fields(notice: Notice) -> Fields:
    """A notice, by the word that all drivers have for it."""
    match notice:
        case EngineFrozen(silent_seconds):
            return {"kind": "frozen", "silent_ms": silent_seconds * 1000}
        case EngineThawed():
            return {"kind": "recovered"}
        case EngineCrashed(error):
            return {"kind": "lost", "error": error_fields(error)}
        case EngineRestarted(pid):
            return {"kind": "restarted", "pid": pid}
        case EngineGaveUp(error):
            return {"kind": "gave_up", "error": error_fields(error)}


def _bytes_to_plain(value: object) -> Fields:
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    raise TypeError(f"{type(value).__name__} cannot be said")


def _bytes_from_plain(value: Fields) -> object:
    return bytes.fromhex(value["$bytes"]) if set(value) == {"$bytes"} else value
