"""What a device's answers and messages are worth, and what is said of those that are not."""

import pytest

from host_tools.certify import judging
from host_tools.certify.model import Interface, Property

TARGET = Property("target", "double", True)
PARTS = {
    "": Interface("", "dtmi:a;1", telemetry={"load": {"@type": "Array", "elementSchema": "long"}}),
    "zone1": Interface("zone1", "dtmi:b;1", telemetry={"temperature": "double"}),
}


def answer(value, code, version=4):
    return {"value": value, "ac": code, "av": version}


@pytest.mark.parametrize(
    ("asked", "said", "problem"),
    [
        (21.5, answer(21.5, 200), ""),
        (21.5, answer(21.5000001, 203), ""),
        (21, answer(21.0, 200), ""),
        ("eco", answer("eco", 200), ""),
        (21.5, {"value": 21.5}, "the acknowledgement has no ac, av"),
        (21.5, {}, "the acknowledgement has no ac, av, value"),
        (21.5, answer(21.5, 202), "ac 202 to 21.5, which is of its schema"),
        (21.5, answer(21.5, 500), "ac 500 to 21.5, which is of its schema"),
        (21.5, answer(21.5, [200]), "ac [200] to 21.5, which is of its schema"),
        (21.5, answer(20, 200), "ac 200 with 20 in use, and 21.5 was asked for"),
        ("eco", answer(1, 200), "ac 200 with 1 in use, and 'eco' was asked for"),
    ],
)
def test_answers_to_a_value(asked, said, problem):
    assert judging.judge_write(asked)(said, 4, TARGET) == problem


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (answer(20, 400), ""),
        (answer(20, 499), ""),
        (answer(20, 200), "ac 200 to a value of another type"),
        (answer(20, 500), "ac 500 to a value of another type"),
        (answer(20, "400"), "ac 400 to a value of another type"),
        ({}, "ac None to a value of another type"),
        (answer("not", 400), "the value in use is said to be of another type"),
    ],
)
def test_answers_to_a_value_of_another_type(said, problem):
    assert judging.judge_wrong_type(said, 4, TARGET) == problem


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (answer(20, 203, 0), ""),
        (answer(None, 200), ""),
        ({"ac": 200}, ""),
        (answer(None, 400), "ac 400 to null, which is no error"),
        ({}, "ac None to null, which is no error"),
        (answer("x", 200), "the value is of another type"),
    ],
)
def test_answers_to_null(said, problem):
    assert judging.judge_null(said, 4, TARGET) == problem


@pytest.mark.parametrize(
    ("held", "problem"),
    [
        (None, "it was not acknowledged in time"),
        ({"value": 1}, "it was not acknowledged in time"),
        (21.5, "it is reported bare, without value, ac and av"),
        (answer(1, 200, 3), "acknowledged for version 3, and 4 was asked for"),
    ],
)
def test_silence(held, problem):
    assert judging.explain_silence(held, 4) == problem


@pytest.mark.parametrize(
    ("component", "body", "problems"),
    [
        ("zone1", {"temperature": 21}, []),
        ("", {"load": [1, 2]}, []),
        ("", {}, []),
        ("zone2", {"x": 1}, [("is declared", "the model has no component zone2")]),
        ("", {"x": 1}, [("is declared", "the model declares no x")]),
        ("zone1", {"x": 1}, [("is declared", "the model declares no zone1.x")]),
        (
            "zone1",
            {"temperature": "21"},
            [("fits the model", "zone1.temperature: '21' is not of schema double")],
        ),
        ("", {"load": 1}, [("fits the model", "load: 1 is not of schema Array")]),
    ],
)
def test_telemetry(component, body, problems):
    event = {"component": component, "body": body}
    wanted = [(f"telemetry {check}", text) for check, text in problems]
    assert list(judging.telemetry_problems(event, PARTS)) == wanted


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "is_json"),
    [
        ({}, "application/json", "utf-8", True),
        ({}, "Application/JSON", "UTF-8", True),
        ({}, "text/plain", "utf-8", False),
        ({}, "application/json", "", False),
        ({}, None, None, False),
        ([], "application/json", "utf-8", False),
        ("text", "application/json", "utf-8", False),
    ],
)
def test_messages_that_say_what_they_are(body, kind, encoding, is_json):
    event = {"body": body, "contentType": kind, "contentEncoding": encoding}
    assert judging.is_json_message(event) is is_json
