"""The MQTT door: the life of one connection from its first byte to its last.

Whatever a client does ends in one line of the log at INFO and in nothing else; the line holds no
token, and of what the client sent only its device id.

Source: MQTT 3.1.1 sections 3.1 and 4.8; iot-mqtt-connect-to-iot-hub (keep-alive, expiry).
"""

from __future__ import annotations

import asyncio
import logging
from typing import NoReturn

from host_tools.hub.endpoints.mqtt_admission import Refusal, admit
from host_tools.hub.endpoints.mqtt_link import Link, LinkClosed
from host_tools.hub.endpoints.mqtt_provisioning import (
    ProvisioningSession,
    is_for_provisioning,
)
from host_tools.hub.endpoints.mqtt_provisioning import admit as admit_registration
from host_tools.hub.endpoints.mqtt_session import Session
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.policies import NO_END
from host_tools.hub.storage import StorageError
from host_tools.hub.wire import mqtt
from host_tools.hub.wire import mqtt_packets as p
from host_tools.hub.wire.protocol_error import ProtocolError
from host_tools.hub.wire.sas import CLOCK_SKEW_S

CONNECT_S = 10
"""From the end of the TLS handshake to a whole CONNECT: a stranger's place is not for keeps."""
MAX_IDLE_S = 1767
"""The service's own cap (29.45 minutes) on 1.5 times the keep-alive; also for keep-alive 0."""
PACKETS_PER_TURN = 32
"""Then the other clients have their turn: that many twin reads take a few milliseconds."""

log = logging.getLogger(__name__)


async def serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hub: Hub
) -> None:
    """Serve one client until it leaves or has to go. Raises only CancelledError: the hub stops."""
    link = Link(reader, writer)
    connection = _Connection(hub, link)
    try:
        reason = await connection.run()
        log.info("%s: %s", connection.name, reason)
    except Exception:
        # A fault of ours costs one connection, not the hub.
        log.exception("%s: a fault of the hub itself", connection.name)
    finally:
        await link.finish()


class _Connection:
    def __init__(self, hub: Hub, link: Link) -> None:
        self._hub = hub
        self._link = link
        self._decoder = mqtt.Decoder()
        self._session: Session | None = None
        self.name = link.peer

    async def run(self) -> str:
        """Return why the connection ended, after it has left the hub's state."""
        hub_stops = False
        try:
            return await self._reason()
        except asyncio.CancelledError:
            hub_stops = True
            raise
        finally:
            self._link.close("closed")
            if self._session is not None:
                self._session.end(hub_stops)

    async def _reason(self) -> str:
        try:
            await self._converse()
        except LinkClosed as end:
            return str(end)
        except Refusal as refusal:
            self._link.write(mqtt.build_connack(refusal.return_code))
            return f"refused: {refusal}"
        except ProtocolError as error:
            if error.return_code is not None and self._session is None:
                self._link.write(mqtt.build_connack(error.return_code))
            return f"closed: {error}"
        except HubError as error:
            return f"closed: {error.code} {error.name}, {error.message}"
        except StorageError as error:
            return f"closed: {error}"

    async def _converse(self) -> NoReturn:
        connect = await self._first_packet()
        if is_for_provisioning(connect.username):
            await self._provision(connect)
        admission = admit(self._hub, connect, self._link.certificate)
        self.name = f"{self.name} {admission.key}"
        session = Session(self._hub, self._link, admission, connect)
        self._session = session
        expiry = self._close_at_expiry(admission.grant.expiry_s)
        try:
            session.begin()
            log.info("%s: connected", self.name)
            await self._serve(session, _idle_limit_s(connect.keep_alive_s))
        finally:
            if expiry is not None:
                expiry.cancel()

    async def _provision(self, connect: p.Connect) -> NoReturn:
        shown = admit_registration(self._hub, connect, self._link.certificate)
        self.name = f"{self.name} registration {shown.registration_id}"
        session = ProvisioningSession(self._hub, self._link, shown)
        session.begin()
        log.info("%s: connected", self.name)
        await self._serve(session, _idle_limit_s(connect.keep_alive_s))

    async def _first_packet(self) -> p.Connect:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CONNECT_S
        while (packet := self._decoder.next_packet()) is None:
            late = f"no CONNECT within {CONNECT_S} s"
            self._decoder.feed(await self._link.read(deadline - loop.time(), late))
        assert isinstance(packet, p.Connect), "the decoder lets no other packet be the first"
        return packet

    async def _serve(
        self, session: Session | ProvisioningSession, idle_limit_s: float
    ) -> NoReturn:
        """Handle packets until something raises. Only whole packets keep the client alive."""
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while True:
            if await self._handle_received(session):
                heard = loop.time()
            late = f"nothing heard for {idle_limit_s:g} s, 1.5 times the keep-alive"
            self._decoder.feed(await self._link.read(heard + idle_limit_s - loop.time(), late))

    async def _handle_received(self, session: Session | ProvisioningSession) -> int:
        """Returns: how many packets there were."""
        handled = 0
        while (packet := self._decoder.next_packet()) is not None:
            session.handle(packet)
            handled += 1
            if handled % PACKETS_PER_TURN == 0 or self._link.is_closed:
                await self._settle(session)
                await asyncio.sleep(0)
                self._link.check_open()
        await self._settle(session)
        return handled

    async def _settle(self, session: Session | ProvisioningSession) -> None:
        await session.settle()
        await self._link.drain()

    def _close_at_expiry(self, expiry_s: float) -> asyncio.TimerHandle | None:
        """MQTT cannot renew a token: at its end the client must come again with a new one.

        A token that was over already, and let in because clocks differ, lasts for the allowance.
        """
        if expiry_s == NO_END:
            return None
        now = self._hub.clock()
        end = expiry_s if expiry_s > now else expiry_s + CLOCK_SKEW_S
        return asyncio.get_running_loop().call_later(
            max(0.0, end - now), self._link.close, "closed: the token has expired"
        )


def _idle_limit_s(keep_alive_s: int) -> float:
    return min(1.5 * keep_alive_s or MAX_IDLE_S, MAX_IDLE_S)
