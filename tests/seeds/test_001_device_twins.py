"""Seed 001: device twins, from the device's side and from the back end's."""

from hub_exec import run


def test_the_device_application() -> None:
    seen = run("twin_device_app.py")
    assert seen["before"] == {"desired": {"$version": 1}, "reported": {"$version": 1}}
    assert seen["patch"] == {"power_level": 1, "$version": 2}
    assert seen["after"]["desired"] == {"power_level": 1, "$version": 2}
    assert seen["after"]["reported"] == {**seen["reported"], "$version": 2}


def test_the_device_application_by_certificate() -> None:
    seen = run("twin_device_x509.py")
    assert seen == {
        "reported": {"temperature": 32.1, "$version": 2},
        "type": "selfSigned",
        "thumbprint": True,
    }


def test_the_back_end_with_the_thermostat() -> None:
    # "There is no default shared access policy that contains only these two permissions"
    policy = ("--policy", "backend=ServiceConnect,RegistryRead")
    seen = run("twin_back_end.py", options=("--thermostat", "t1", *policy))
    assert seen["before"] == []
    assert seen["plant"] == ["t1"]
    assert (seen["cellular"], seen["wifi"]) == ([], ["t1"])
    assert seen["tags"] == {"location": {"region": "US", "plant": "Redmond43"}}
    assert seen["power_level"] == 1
    assert seen["replaced"] == {"tags": {"only": "this"}, "power_level": None, "plant": []}


def test_the_back_end_by_microsoft_entra() -> None:
    seen = run("twin_back_end_entra.py")
    assert seen == {"plant": ["exec-device"], "power_level": 1, "secret_in_connection": False}
