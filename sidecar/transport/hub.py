"""All connections of one transport: who is admitted, who is still there, and the orderly end."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Final

from sidecar.errors import Conflict, ShuttingDown
from sidecar.transport.base import Link
from sidecar.transport.peer import Peer
from sidecar.transport.terms import Terms

PING_SECONDS: Final = 5.0
_CANCEL_SECONDS: Final = 2.0


class Hub:
    """Keeps the connections of a transport.

    With `single_host` a second hello is refused while the first connection lives.
    `prefix` begins the names of its connections, which tell hubs of one sidecar apart.
    `welcomed` is called once, after the first welcome has been sent: the time to
    import what is slow. Everything here happens on the asyncio thread.
    """

    def __init__(
        self,
        terms: Terms,
        *,
        single_host: bool,
        prefix: str = "c",
        ping_seconds: float = PING_SECONDS,
        welcomed: Callable[[], None] | None = None,
    ) -> None:
        self._terms = terms
        self._single_host = single_host
        self._prefix = prefix
        self._ping_seconds = ping_seconds
        self._welcomed = welcomed
        self._peers: dict[str, Peer] = {}
        self._names = itertools.count(1)
        self._accepts = True
        self._pinging: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """Connections that have been welcomed and are not over."""
        return len(self._peers)

    @property
    def active_requests(self) -> int:
        """Requests without a terminal, of all connections."""
        return len(self._terms.tasks)

    def connect(self, link: Link) -> Peer:
        """A peer for a link that a transport has met; it counts as a connection once it has said hello."""
        return Peer(f"{self._prefix}{next(self._names)}", link, self._terms, self._admit, self._forget)

    def notify(self, method: str, params: Mapping[str, object]) -> None:
        """Tell every host."""
        for peer in list(self._peers.values()):
            peer.notify(method, params)

    def start(self) -> None:
        """Begin to notice connections that are gone."""
        self._pinging = asyncio.get_running_loop().call_later(self._ping_seconds, self._ping_all)

    async def shut_down(self, grace_seconds: float) -> None:
        """Take no new work, cancel what still runs after `grace_seconds`, then say bye to all."""
        self._accepts = False
        for peer in list(self._peers.values()):
            peer.refuse_requests()
        await self._wait(grace_seconds)
        for peer in list(self._peers.values()):
            peer.end_requests(ShuttingDown("the sidecar is ending"))
        await self._wait(_CANCEL_SECONDS)
        if self._pinging is not None:
            self._pinging.cancel()
        for peer in list(self._peers.values()):
            peer.say_bye("shutting_down", "the sidecar is ending")

    async def _wait(self, seconds: float) -> None:
        """Until no request is left, at most so long; also lets the terminals of ended ones out."""
        if self._terms.tasks:
            await asyncio.wait(set(self._terms.tasks), timeout=seconds)
        await asyncio.sleep(0)

    def _admit(self, peer: Peer) -> None:
        if not self._accepts:
            raise ShuttingDown("the sidecar is ending and takes no new connections")
        if self._single_host:
            for other in list(self._peers.values()):
                other.probe(insist=True)
            if self._peers:
                raise Conflict("this sidecar has a host already; it takes another when that one is gone")
        self._peers[peer.connection_id] = peer
        if self._welcomed is not None:
            asyncio.get_running_loop().call_soon(self._welcomed)
            self._welcomed = None

    def _forget(self, peer: Peer) -> None:
        del self._peers[peer.connection_id]

    def _ping_all(self) -> None:
        for peer in list(self._peers.values()):
            peer.probe()
        self._pinging = asyncio.get_running_loop().call_later(self._ping_seconds, self._ping_all)
