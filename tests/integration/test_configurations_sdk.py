"""Automatic device management, by Microsoft's unmodified IoTHubConfigurationManager."""

import asyncio
import os
import textwrap

import pytest
from sdk_process import run_sdk_script

from host_tools.hub.client_environment import connection_variables
from host_tools.hub.launcher import serving
from host_tools.hub.trust import trust_environment

HEAD = """
import os, time
from azure.iot.hub import IoTHubConfigurationManager, IoTHubRegistryManager
from azure.iot.hub.models import *
from azure.iot.hub.protocol.models import (
    Configuration, ConfigurationContent, ConfigurationMetrics, ConfigurationQueriesTestInput,
    DeviceCapabilities)
from msrest.exceptions import HttpOperationError

text = os.environ["IOTHUB_CONNECTION_STRING"]
registry = IoTHubRegistryManager(text)
manager = IoTHubConfigurationManager.from_connection_string(text)

def refused(status, code, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except HttpOperationError as error:
        assert error.response.status_code == status, error
        assert error.response.headers["iothub-errorcode"] == code, error.response.headers
    else:
        raise AssertionError("not refused")

def wait_until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)

def make(name, target="*", priority=10, desired=None):
    content = ConfigurationContent(
        device_content={"properties.desired.heating": desired or {"limit": 21}})
    return Configuration(
        id=name, content=content, target_condition=target, priority=priority,
        labels={"owner": "me"}, metrics=ConfigurationMetrics(queries={
            "done": "SELECT deviceId FROM devices WHERE configurations.[[%s]].status = 'Applied'"
                    " AND properties.reported.heating.limit = 21" % name}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("configurations")


def run_script(folder, script):
    async def run():
        place = folder / str(len(list(folder.iterdir())))
        place.mkdir()
        async with serving(folder / "hub", None) as server:
            for device_id in ("dev1", "dev2"):
                server.ensure_device(device_id)
            server.hub.twins.update_reported("dev1", {"heating": {"limit": 21}})
            environment = {
                **os.environ,
                **connection_variables(server, "dev1", "dev1", os.environ),
                **trust_environment(place, server.certificates.ca_pem, os.environ),
            }
            await run_sdk_script(HEAD + textwrap.dedent(script), environment)

    asyncio.run(run())


def test_the_life_of_a_configuration(folder):
    run_script(
        folder,
        """
        made = manager.create_configuration(make("warm"))
        assert (made.id, made.priority, made.labels) == ("warm", 10, {"owner": "me"})
        assert made.system_metrics.results == {"targetedCount": 2, "appliedCount": 2}
        assert made.metrics.results == {"done": 1}
        for name in ("dev1", "dev2"):
            assert registry.get_twin(name).properties.desired["heating"] == {"limit": 21}
        assert manager.get_configuration("warm").etag == made.etag

        made.target_condition, made.priority = "deviceId = 'dev2'", 5
        new = manager.update_configuration(made, made.etag)
        assert (new.priority, new.system_metrics.results["targetedCount"]) == (5, 1)
        refused(412, "PreconditionFailed", manager.update_configuration, made, made.etag)
        refused(409, "ConfigurationAlreadyExists", manager.create_configuration, make("warm"))
        refused(400, "ArgumentInvalid", manager.create_configuration, make("No Id"))
        refused(400, "ArgumentInvalid", manager.create_configuration, make("c", "tags.a ="))
        refused(404, "ConfigurationNotFound", manager.get_configuration, "cold")

        manager.create_configuration(make("hot", priority=20, desired={"limit": 30}))
        assert [each.id for each in manager.get_configurations()] == ["hot", "warm"]
        assert [each.id for each in manager.get_configurations(1)] == ["hot"]
        assert registry.get_twin("dev2").properties.desired["heating"] == {"limit": 30}
        assert manager.get_configuration("warm").system_metrics.results == {
            "targetedCount": 1, "appliedCount": 0}
        refused(412, "PreconditionFailed", manager.delete_configuration, "hot", '"stale"')
        manager.delete_configuration("hot")
        assert registry.get_twin("dev2").properties.desired["heating"] == {"limit": 21}
        manager.delete_configuration("warm", new.etag)
        assert manager.get_configurations() == []
        """,
    )


def test_a_device_that_comes_later(folder):
    run_script(
        folder,
        """
        manager.create_configuration(make("warm", "tags.site = 'A'"))
        registry.update_twin("dev1", Twin(tags={"site": "A"}))
        wait_until(lambda: registry.get_twin("dev1").properties.desired.get("heating"))
        spec = QuerySpecification(
            query="SELECT * FROM devices WHERE configurations.[[warm]].status = 'Applied'")
        assert [each.device_id for each in registry.query_iot_hub(spec).items] == ["dev1"]
        """,
    )


def test_queries_and_edge_devices(folder):
    run_script(
        folder,
        """
        told = manager.test_configuration_queries(ConfigurationQueriesTestInput(
            target_condition="tags.a = 1",
            custom_metric_queries={"good": "SELECT * FROM devices", "bad": "SELECT FROM"}))
        assert told.target_condition_error is None
        assert list(told.custom_metric_query_errors) == ["bad"]
        told = manager.test_configuration_queries(
            ConfigurationQueriesTestInput(target_condition="tags.a = "))
        assert "expected" in told.target_condition_error

        content = ConfigurationContent(modules_content={
            "$edgeAgent": {"properties.desired": {"modules": {"sensor": {"type": "docker"}}}},
            "$edgeHub": {"properties.desired": {"routes": {"up": "FROM /* INTO $upstream"}}}})
        refused(400, "ArgumentInvalid", manager.apply_configuration_on_edge_device,
                "dev1", content)
        registry.create_device_with_sas("edge", "", "", "enabled", iot_edge=True)
        manager.apply_configuration_on_edge_device("edge", content)
        names = [each.module_id for each in registry.get_modules("edge")]
        assert names == ["$edgeAgent", "$edgeHub", "sensor"], names
        routes = registry.get_module_twin("edge", "$edgeHub").properties.desired["routes"]
        assert routes == {"up": "FROM /* INTO $upstream"}
        """,
    )
