"""What can be tuned in the Plug and Play part; the application overrides what it must."""


class Settings:
    """Defaults for a small board; change attributes before the device is made."""

    # Largest reported patch, as JSON; with its topic it must fit the session's send buffer
    report_bytes = 1500
    # How much of a cloud-to-device message's data, and of its properties, is logged
    logged_bytes = 80
