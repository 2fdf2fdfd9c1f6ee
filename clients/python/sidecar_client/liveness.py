"""How a client notices an engine that is there and does not answer."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """Seconds. Tests shorten them; the defaults are the protocol's."""

    ping_seconds: float = 5.0
    """A ping when something is pending and nothing came for this long."""
    frozen_seconds: float = 15.0
    """An unanswered ping of this age means: frozen."""
    heartbeat_seconds: float = 5.0
    """Between heartbeats of the socket itself, which notice a connection that is cut."""
    heartbeat_timeout_seconds: float = 15.0


class PingWatch:
    """Decides when to ping and when to call the engine frozen. Owns no timer and no socket.

    Time in which this process itself did not run (a debugger, a laptop asleep)
    never counts against the engine: a late tick starts the wait anew.
    """

    def __init__(self, liveness: Liveness, send_ping: Callable[[int], None], now: float) -> None:
        self._liveness = liveness
        self._send_ping = send_ping
        self._nonce = 0
        self._last_heard = now
        self._last_tick = now
        self._pinged_at: float | None = None
        self._frozen = False

    @property
    def tick_seconds(self) -> float:
        """How often `tick` wants to be called."""
        return min(self._liveness.ping_seconds, self._liveness.frozen_seconds) / 4

    def heard(self, now: float) -> bool:
        """Any message came; returns whether this ends a freeze."""
        self._last_heard = now
        self._pinged_at = None
        thawed, self._frozen = self._frozen, False
        return thawed

    def tick(self, now: float, *, pending: bool) -> float | None:
        """Returns the seconds of silence when the engine must be reported frozen, once per freeze."""
        late = now - self._last_tick > self._liveness.ping_seconds / 2
        self._last_tick = now
        if not pending or late:
            self._last_heard = now
            self._pinged_at = None
            return None
        if self._pinged_at is None:
            if now - self._last_heard >= self._liveness.ping_seconds:
                self._nonce += 1
                self._pinged_at = now
                self._send_ping(self._nonce)
            return None
        silent = now - self._pinged_at
        if self._frozen or silent < self._liveness.frozen_seconds:
            return None
        self._frozen = True
        return silent
