"""All that `iothub` and `pnp` want to know of an application's settings."""


class Settings:
    """As for a small board and real Azure; a test changes them before the session is made."""

    model_id = ""  # DTMI of the Plug and Play model that the device announces
    product = "thermostat-micropython/0.1"  # DeviceClientType: how the hub's logs name us
    port = 8883
    keep_alive_s = 60  # the hub closes after 1.5 times this without a packet
    token_life_s = 24 * 3600
    token_renew_percent = 80
    backoff_base_ms = 1000
    backoff_cap_ms = 300_000
    dial_timeout_ms = 30_000  # name, TCP and TLS: a board's handshake alone takes 2 s
    packet_timeout_ms = 10_000  # a packet once begun, either way, is whole by then
    answer_timeout_ms = 10_000  # CONNACK, SUBACK, twin answers, PINGRESP
    ack_timeout_ms = 60_000  # PUBACK: a throttled hub delays it by tens of seconds
    drain_timeout_ms = 5000  # what renewal and stop() wait for, before they cut
    receive_bytes = 4096  # largest topic + body taken; a longer packet is drained and told
    send_bytes = 2048  # largest CONNECT, reported patch
    window = 4  # packets on their way at once; at most so many arrive twice after a cut
    packet_bytes = 512  # largest telemetry message or command answer, with its topic
    telemetry_bytes = 8 * 1024  # waiting telemetry: about 64 messages
    answer_bytes = 2048  # waiting command answers
    report_bytes = 1500  # largest reported patch, as JSON
    logged_bytes = 80  # of a cloud-to-device message
