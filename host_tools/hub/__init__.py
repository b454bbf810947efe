"""A local hub that Microsoft's SDKs take for Azure IoT Hub."""
