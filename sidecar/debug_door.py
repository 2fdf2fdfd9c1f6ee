"""The debug door: how this user's own tools reach a sidecar beside, or instead of, its one host.

`sidecar --socket` has no other door; a spawned sidecar opens one with `options.debug_socket`.
Its keys are made for this boot and lie in a file that nobody but the user can read.
"""

import os
from pathlib import Path

from sidecar import __version__
from sidecar.errors import PermissionDenied
from sidecar.lifecycle.connection_file import write_connection_file
from sidecar.transport.curve import CurveKeys
from sidecar.transport.hub import Hub
from sidecar.transport.zeromq import LOOPBACK_ENDPOINT, ZeroMQServer
from sidecar_protocol.handshake import ConnectionFile
from sidecar_protocol.version import PROTOCOL_VERSION


class DebugDoor:
    """Serves a hub's connections to whoever has read the connection file."""

    def __init__(self, server: ZeroMQServer, connection: ConnectionFile, path: Path) -> None:
        self.connection = connection
        self.path = path
        self._server = server

    def start(self) -> None:
        """Serve on the running event loop."""
        self._server.start()

    async def close(self) -> None:
        """Remove the file and stop serving."""
        self.path.unlink(missing_ok=True)
        await self._server.close()


async def open_debug_door(hub: Hub, address: str | None, *, boot_id: str, app_id: str) -> DebugDoor:
    """Listen, and write down how to attach.

    `address` is None for any free loopback port, tcp://127.0.0.1:PORT, or the path
    of a Unix socket. Raises InvalidParams for an address that cannot be right,
    Conflict when it is taken, PermissionDenied when the file cannot be written.
    """
    client = CurveKeys.generate()
    server = ZeroMQServer(hub, client_key=client.public, endpoint=_endpoint(address))
    connection = ConnectionFile(
        endpoint=server.endpoint,
        server_key=server.server_key,
        client_key=client.public,
        client_secret=client.secret,
        boot_id=boot_id,
        pid=os.getpid(),
        protocol=PROTOCOL_VERSION,
        version=__version__,
        app_id=app_id,
    )
    try:
        return DebugDoor(server, connection, write_connection_file(connection))
    except OSError as error:
        await server.close()
        raise PermissionDenied(f"the connection file cannot be written: {error}") from error


def _endpoint(address: str | None) -> str:
    if address is None:
        return LOOPBACK_ENDPOINT
    return address if "://" in address else f"ipc://{Path(address).absolute()}"
