"""Seed 003: the client of Azure Digital Twins, snippet by snippet."""

from hub_exec import ROOT, run


def test_each_snippet() -> None:
    seen = run("building_twins.py", str(ROOT / "host_tools" / "ontology"))
    status, code, message = seen.pop("as printed")
    assert (status, code) == (400, "ValidationFailed")
    assert "/Component1" in message or "/Prop1" in message
    assert seen == {
        "created": ["dtmi:samples:component1;1", "dtmi:samples:TempModel;1"],
        "listed": ["dtmi:samples:TempModel;1", "dtmi:samples:component1;1"],
        "model": {"en": "TempModel"},
        "same twin": True,
        "queried": [True],
        "component": "value2",
        "relationships": ["BuildingHasFloor", "BuildingIsEquippedWithHVAC"],
        "incoming": ["BuildingHasFloor", "HVACCoolsFloor"],
        "routes": [True],
        "logged": True,
        "deleted": "DigitalTwinNotFound",
        "decommissioned": True,
        "left": 4,
    }
