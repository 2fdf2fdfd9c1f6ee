"""What a program may want to tell its user about the engine's health; handed to `on_notice`."""

from dataclasses import dataclass

from sidecar_client.errors import EngineError, EngineLost


@dataclass(frozen=True, slots=True)
class EngineFrozen:
    """It owes an answer to a ping for this long. Requests stay pending: it may come back."""

    silent_seconds: float


@dataclass(frozen=True, slots=True)
class EngineThawed:
    """It answers again after having been reported frozen."""


@dataclass(frozen=True, slots=True)
class EngineCrashed:
    """It is gone; what was pending has failed with `error`."""

    error: EngineLost


@dataclass(frozen=True, slots=True)
class EngineRestarted:
    """A new process took its place: models are loaded again on their next use."""

    pid: int


@dataclass(frozen=True, slots=True)
class EngineGaveUp:
    """It crashed too often, or could not be started again: no further restart."""

    error: EngineError


Notice = EngineFrozen | EngineThawed | EngineCrashed | EngineRestarted | EngineGaveUp
