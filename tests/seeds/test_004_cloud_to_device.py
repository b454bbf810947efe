"""Seed 004: a cloud-to-device message with its properties, and the feedback about it."""

from hub_exec import run


def test_a_message_its_properties_and_its_feedback() -> None:
    seen = run("c2d_with_feedback.py")
    assert seen["data"] == "Cloud to device message"
    assert (seen["messageId"], seen["correlationId"]) == ("message_1", "correlation_1")
    assert seen["properties"]["prop1"] == "test_1"
    assert seen["properties"]["prop2"] == "test_2"
    assert (seen["count"], seen["queued"], seen["left"]) == (1, 1, 0)
    assert 0 <= seen["took_s"] < 60
    ((record),) = seen["feedback"]
    assert record["originalMessageId"] == "message_1"
    assert (record["statusCode"], record["deviceId"]) == ("Success", "exec-device")
