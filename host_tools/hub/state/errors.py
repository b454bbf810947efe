"""The one error that the hub's state raises, and the faults it stands for.

Every fault of a device or of a service client has a numeric code, a name and an HTTP status; the
doors translate them to their own protocol (status in a topic, HTTP answer, AMQP condition).
Source: Azure IoT Hub error codes ("Understand and resolve IoT Hub error codes").
"""

from __future__ import annotations

from host_tools.hub.state.documents import JsonObject
from host_tools.problem import Problem


class HubError(Problem):
    """A refused operation: `code` (400004), `name` (ArgumentInvalid), `http_status`, `message`.

    `info` holds what newer error bodies add, for example `{"timeout": "00:00:30"}`.
    """

    def __init__(
        self, code: int, name: str, http_status: int, message: str, info: JsonObject | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.name = name
        self.http_status = http_status
        self.message = message
        self.info: JsonObject = info or {}


def argument_invalid(message: str) -> HubError:
    return HubError(400004, "ArgumentInvalid", 400, message)


def malformed(message: str) -> HubError:
    return HubError(400006, "IotHubFormatError", 400, message)


def digital_twin_patch_invalid(message: str) -> HubError:
    return HubError(400505, "InvalidDigitalTwinJsonPatch", 400, message)


def unauthorized(message: str) -> HubError:
    return HubError(401003, "IoTHubUnauthorized", 401, message)


def quota_exceeded(tier: str, messages: int) -> HubError:
    text = (
        f"The {messages:,} messages of a day of tier {tier} are spent; the next begin at 0:00 UTC."
    )
    return HubError(403002, "IoTHubQuotaExceeded", 403, text)


def queue_full(device_id: str) -> HubError:
    text = f"The queue of device {device_id} holds as many messages as it may."
    return HubError(403004, "DeviceMaximumQueueDepthExceeded", 403, text)


def device_disabled(device_id: str) -> HubError:
    return HubError(403012, "DeviceDisabled", 403, f"Device {device_id} is disabled.")


def device_not_found(device_id: str) -> HubError:
    return HubError(404001, "DeviceNotFound", 404, f"Device {device_id} is not registered.")


def module_not_found(device_id: str, module_id: str) -> HubError:
    text = f"Module {module_id} of device {device_id} is not registered."
    return HubError(404010, "ModuleNotFound", 404, text)


def configuration_not_found(configuration_id: str) -> HubError:
    text = f"There is no configuration {configuration_id}."
    return HubError(404301, "ConfigurationNotFound", 404, text)


def job_not_found(job_id: str) -> HubError:
    return HubError(404002, "JobNotFound", 404, f"There is no job {job_id}.")


def device_not_online(message: str, info: JsonObject) -> HubError:
    return HubError(404103, "DeviceNotOnline", 404, message, info)


def device_exists(device_id: str) -> HubError:
    return HubError(409001, "DeviceAlreadyExists", 409, f"Device {device_id} exists already.")


def module_exists(device_id: str, module_id: str) -> HubError:
    text = f"Module {module_id} of device {device_id} exists already."
    return HubError(409301, "ModuleAlreadyExistsOnDevice", 409, text)


def configuration_exists(configuration_id: str) -> HubError:
    text = f"The configuration {configuration_id} exists already."
    return HubError(409401, "ConfigurationAlreadyExists", 409, text)


def job_exists(job_id: str) -> HubError:
    return HubError(409104, "JobAlreadyExists", 409, f"The job {job_id} exists already.")


def job_has_ended(job_id: str, status: str) -> HubError:
    text = f"The job {job_id} is {status} already."
    return HubError(412003, "JobRunPreconditionFailed", 412, text)


def job_quota_exceeded(message: str) -> HubError:
    return HubError(403003, "JobQuotaExceeded", 403, message)


def precondition_failed(message: str) -> HubError:
    return HubError(412001, "PreconditionFailed", 412, message)


def lock_lost(device_id: str) -> HubError:
    text = f"The lock on a message of device {device_id} is lost or was never given."
    return HubError(412002, "DeviceMessageLockLost", 412, text)


def feedback_lock_lost() -> HubError:
    text = "The lock on the feedback is lost or was never given."
    return HubError(412002, "DeviceMessageLockLost", 412, text)


def too_large(message: str) -> HubError:
    return HubError(413001, "MessageTooLarge", 413, message)


def too_many_modules(device_id: str, limit: int) -> HubError:
    text = f"Device {device_id} has as many modules as it may: {limit}."
    return HubError(413003, "TooManyModulesOnDevice", 413, text)


def throttled(kind: str) -> HubError:
    text = f"Too many of this kind at a time: {kind}. Try again later."
    return HubError(429001, "ThrottlingException", 429, text)


def too_many_configurations(limit: int) -> HubError:
    text = f"There are as many configurations as there may be: {limit}."
    return HubError(413101, "ConfigurationCountLimitExceeded", 413, text)


def too_many_jobs(limit: int) -> HubError:
    text = f"There are as many jobs under way as there may be: {limit}."
    return HubError(429004, "ThrottlingMaxActiveJobCountExceeded", 429, text)


def gateway_timeout(message: str, info: JsonObject) -> HubError:
    return HubError(504101, "GatewayTimeout", 504, message, info)
