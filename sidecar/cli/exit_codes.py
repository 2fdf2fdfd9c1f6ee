"""Exit codes, and which error ends with which."""

from sidecar.errors import SidecarError
from sidecar_client.errors import (
    Busy,
    DeadlineExceeded,
    EngineError,
    EngineLost,
    InvalidMessage,
    InvalidParams,
    MethodNotFound,
    StartFailed,
    TooLarge,
)

OK = 0
FAILED = 1
USAGE = 2
NO_ENGINE = 3
LOST = 4
RETRY = 5
INTERRUPTED = 130
BROKEN_PIPE = 141

DESCRIPTION = """\
exit codes:
  0    done
  1    the engine answered with an error, or a check failed
  2    wrong usage: arguments, parameters or a method that does not exist
  3    no engine could be started or attached to
  4    the engine was lost on the way
  5    busy or too slow; the same may succeed later
  130  interrupted
"""

_BY_CLASS: list[tuple[type[EngineError], int]] = [
    (StartFailed, NO_ENGINE),
    (EngineLost, LOST),
    (InvalidParams, USAGE),
    (InvalidMessage, USAGE),
    (MethodNotFound, USAGE),
    (TooLarge, USAGE),
    (Busy, RETRY),
    (DeadlineExceeded, RETRY),
]


def exit_code(error: EngineError | SidecarError) -> int:
    """The exit code for an error of the engine, or of this program's own arguments."""
    if isinstance(error, SidecarError):
        return USAGE if error.code == "invalid_params" else NO_ENGINE
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), FAILED)
