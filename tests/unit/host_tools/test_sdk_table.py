"""The README's table of what the SDKs can do says what the tests say."""

from tests.sdk_table import CLIENTS, README, operations, rows, table, with_table


def test_the_readme_has_the_table_of_today():
    text = README.read_text()
    assert with_table(text) == text, "run `make readme`"


def test_each_operation_is_in_one_column():
    for client, works, partly, missing in rows():
        assert sorted(works + partly + missing) == sorted(operations(client))


def test_what_no_test_calls_is_not_said_to_work():
    (registry,) = (row for row in rows() if row.client.name == "IoTHubRegistryManager")
    assert "create_device_with_sas" in registry.works
    assert "from_token_credential" in registry.works
    device = next(row for row in rows() if row.client.name == "IoTHubDeviceClient")
    assert "on_message_received" in device.works
    assert "get_storage_info_for_blob" in device.missing


def test_a_row_for_each_client():
    assert len(table().splitlines()) == 2 + len(CLIENTS)
