"""Direct methods: one request to a connected device, one answer, two time-outs.

Nothing is kept for a device that is away. What the device answers, any status it chooses, is the
caller's result; only the hub's own failures are errors.
Source: Azure IoT Hub developer guide, "Understand and invoke direct methods".
"""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import NamedTuple

from host_tools.hub.state import errors
from host_tools.hub.state.connections import Connections
from host_tools.hub.state.documents import Json, parse_json
from host_tools.hub.state.registry import Registry

DEFAULT_RESPONSE_TIMEOUT_S = 30
MAX_TIMEOUT_S = 300
MIN_RESPONSE_TIMEOUT_S = 5
MAX_NAME_CHARS = 256  # a name becomes part of a topic, which has to stay a valid one
MAX_PAYLOAD_BYTES = 128 * 1024  # each way; the service's own limit


class MethodResult(NamedTuple):
    status: int
    payload: Json


class Methods:
    def __init__(self, registry: Registry, connections: Connections) -> None:
        self._registry = registry
        self._connections = connections
        self._rids = itertools.count(1)
        self._pending: dict[tuple[str, str], asyncio.Future[MethodResult]] = {}

    async def invoke(
        self,
        device_id: str,
        name: str,
        payload: Json = None,
        response_timeout_s: int = DEFAULT_RESPONSE_TIMEOUT_S,
        connect_timeout_s: int = 0,
    ) -> MethodResult:
        """Call a method of a device: (status chosen by the device, payload).

        Waits up to `connect_timeout_s` for the device to be connected and subscribed to
        methods, then up to `response_timeout_s` for its answer.
        Raises: HubError 400004, 404001, 404103 (not online), 504101 (no answer).
        """
        self._registry.require(device_id)
        _check_timeouts(response_timeout_s, connect_timeout_s)
        if not 1 <= len(name) <= MAX_NAME_CHARS:
            raise errors.argument_invalid("A method's name has 1 to 256 characters.")
        body = json.dumps(payload).encode("utf-8")
        if len(body) > MAX_PAYLOAD_BYTES:
            raise errors.argument_invalid("The payload is longer than 128 KB.")
        rid = f"{next(self._rids):x}"
        answer: asyncio.Future[MethodResult] = asyncio.get_running_loop().create_future()
        self._pending[device_id, rid] = answer
        try:
            await self._deliver(device_id, name, rid, body, connect_timeout_s)
            return await asyncio.wait_for(answer, response_timeout_s)
        except asyncio.TimeoutError:
            raise errors.gateway_timeout(
                "Timed out waiting for the response from device.",
                {"timeout": _timespan(response_timeout_s)},
            ) from None
        finally:
            del self._pending[device_id, rid]

    def answer(self, device_id: str, rid: str, status: int, payload_json: bytes) -> bool:
        """Take a device's answer; an empty payload is null.

        Returns: False when nobody waits for `rid` (too late, twice, never asked): drop it.
        A payload that is not JSON or is too long ends the call as not answered (504101).
        """
        waiting = self._pending.get((device_id, rid))
        self._connections.touch(device_id)
        if waiting is None or waiting.done():
            return False
        if len(payload_json) > MAX_PAYLOAD_BYTES:
            waiting.set_exception(
                errors.gateway_timeout("The device's answer is longer than 128 KB.", {})
            )
            return True
        try:
            payload = parse_json(payload_json) if payload_json.strip() else None
        except ValueError:
            waiting.set_exception(
                errors.gateway_timeout("The device's answer is not valid JSON.", {})
            )
        else:
            waiting.set_result(MethodResult(status, payload))
        return True

    async def _deliver(
        self, device_id: str, name: str, rid: str, body: bytes, connect_timeout_s: int
    ) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + connect_timeout_s
        while not self._try_send(device_id, name, rid, body):
            try:
                await asyncio.wait_for(
                    self._connections.changed(device_id), deadline - loop.time()
                )
            except asyncio.TimeoutError:
                raise errors.device_not_online(
                    "Timed out waiting for device to connect.",
                    {"timeout": _timespan(connect_timeout_s)},
                ) from None
            # Let the door finish what it does on connecting before it is asked to send.
            await asyncio.sleep(0)

    def _try_send(self, device_id: str, name: str, rid: str, body: bytes) -> bool:
        connection = self._connections.current(device_id)
        return connection is not None and connection.send_method(name, rid, body)


def _check_timeouts(response_s: int, connect_s: int) -> None:
    if not MIN_RESPONSE_TIMEOUT_S <= response_s <= MAX_TIMEOUT_S:
        raise errors.argument_invalid("responseTimeoutInSeconds is not in 5 to 300.")
    if not 0 <= connect_s <= MAX_TIMEOUT_S:
        raise errors.argument_invalid("connectTimeoutInSeconds is not in 0 to 300.")


def _timespan(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
