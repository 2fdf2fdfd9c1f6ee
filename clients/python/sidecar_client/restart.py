"""How often a crashed engine is started again."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """At most `max_restarts` within `within_seconds`; beyond, the engine stays down and says so."""

    max_restarts: int = 3
    within_seconds: float = 60.0


class RestartBudget:
    """Counts restarts against a policy."""

    def __init__(self, policy: RestartPolicy | None) -> None:
        self._policy = policy
        self._restarts: deque[float] = deque()

    @property
    def policy(self) -> RestartPolicy | None:
        """None: never."""
        return self._policy

    def spend(self, now: float) -> bool:
        """Take one restart at this time (seconds, monotonic); False when there is none left."""
        if self._policy is None:
            return False
        while self._restarts and now - self._restarts[0] >= self._policy.within_seconds:
            self._restarts.popleft()
        if len(self._restarts) >= self._policy.max_restarts:
            return False
        self._restarts.append(now)
        return True
