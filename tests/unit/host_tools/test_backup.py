"""Backups: whole, private, checked before anything is written, and never a mixture."""

import json

import pytest
from doubles.board_files import BoardFiles, Pulled
from doubles.device_certificates import DER, NOW, certificate, new_key, private
from doubles.keys import KEY

from host_tools import backup, changes, configuration, device_certificate, provision
from host_tools.backup import BackupError
from host_tools.configuration import ConfigurationProblem
from host_tools.credentials import CredentialError

POINTS = {"version": 1, "targets": {"thermostat1": 1950}}


def a_board(**members):
    """One with a certificate and set points."""
    key = new_key()
    found = device_certificate.load(certificate(key, "stove"), private(key), NOW)
    files = BoardFiles({"setpoints.json": json.dumps(POINTS).encode()})
    change = changes.by_certificate(found, "hub.example") + changes.Change(members)
    provision.install(files, None, change)
    return files


def kept(folder, board):
    made = backup.take(board)
    backup.write(folder / "kept.json", made, force=False)
    return folder / "kept.json"


def test_what_was_kept_is_what_comes_back(tmp_path):
    board = a_board(log_level="debug")
    path = kept(tmp_path, board)
    assert path.stat().st_mode & 0o777 == 0o600
    other = BoardFiles()
    backup.put_back(other, backup.read(path), force=False)
    assert provision.read(other) == provision.read(board)
    assert {**other.contents, "config.json": b""} == {
        **board.contents,
        "config.json": b"",
        "setpoints.json": other.contents["setpoints.json"],
    }
    points = configuration.newest("setpoints.json", other.contents)
    assert points == POINTS


def test_nothing_shows_what_is_kept(tmp_path):
    files = BoardFiles()
    string = f"HostName=h;DeviceId=d;SharedAccessKey={KEY}"
    provision.install(files, None, changes.Change({"connection_string": string}))
    assert KEY not in repr(backup.take(files))


def test_a_file_is_not_replaced_unless_told_to(tmp_path):
    board = a_board()
    path = kept(tmp_path, board)
    for refuse in (
        lambda: backup.check_target(path, False),
        lambda: backup.write(path, backup.take(board), False),
        lambda: backup.check_target(tmp_path / "none" / "kept.json", False),
    ):
        with pytest.raises(BackupError, match="; "):
            refuse()
    backup.check_target(path, True)
    backup.write(path, backup.take(board), True)


def test_every_damaged_byte_is_noticed(tmp_path):
    path = kept(tmp_path, a_board())
    whole = path.read_bytes()
    before = backup.read(path)
    for place in range(0, len(whole), 37):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert backup.read(path) == before  # white space, or an escape of the same letter
        except (BackupError, CredentialError) as error:
            assert "; " in str(error)
    path.write_bytes(whole[:-40])
    with pytest.raises(BackupError, match="damaged"):
        backup.read(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.update(format="x"), "no backup"),
        (lambda d: d.update(version=2), "another version"),
        (lambda d: d["files"].clear(), "lacks files"),
        (lambda d: d["files"].update({"more.der": "AAAA"}), "or has others"),
        (lambda d: d["files"].update(dict.fromkeys(d["files"], "AAAA")), "in DER"),
        (lambda d: d["files"].update(dict.fromkeys(d["files"], "no base64!")), "damaged"),
        (lambda d: d.update(files=5), "damaged"),
        (lambda d: d.pop("set_points"), "damaged"),
        (lambda d: d["set_points"].update(targets=5), "targets"),
        (lambda d: d["configuration"].update(log_level="loud"), "log_level"),
    ],
)
def test_what_no_board_would_take_is_refused_though_its_checksum_is_right(
    tmp_path, change, reason
):
    path = kept(tmp_path, a_board())
    document = json.loads(path.read_text())
    change(document)
    document.pop("sha256")
    path.write_text(json.dumps({**document, "sha256": backup._checksum(document)}))
    with pytest.raises((BackupError, ConfigurationProblem), match=reason):
        backup.read(path)


def test_a_board_that_has_a_configuration_keeps_it_unless_told_to(tmp_path):
    found = backup.read(kept(tmp_path, a_board()))
    board = a_board()
    before = dict(board.contents)
    with pytest.raises(BackupError, match="--force"):
        backup.put_back(board, found, force=False)
    assert board.contents == before
    backup.put_back(board, found, force=True)
    assert provision.read(board) == found.configuration


def test_a_board_without_a_configuration_or_without_its_files_is_not_kept():
    with pytest.raises(BackupError, match="no configuration to keep"):
        backup.take(BoardFiles())
    board = a_board()
    del board.contents[provision.read(board)["certificate"]]
    with pytest.raises(BackupError, match="which it does not have"):
        backup.take(board)


def test_whenever_the_cable_is_pulled_a_certificate_belongs_to_its_configuration(tmp_path):
    """Both configurations call their files by the same names."""

    def with_plain_names(board):
        content = provision.read(board)
        names = {content["certificate"]: "device.der", content["private_key"]: "device.key.der"}
        for old, new in names.items():
            board.contents[new] = board.contents.pop(old)
        content.update(certificate="device.der", private_key="device.key.der")
        board.contents["config.json"] = json.dumps(content).encode()
        return board

    old, new = with_plain_names(a_board()), with_plain_names(a_board())
    found = backup.read(kept(tmp_path, new))

    def pair(board):
        content = provision.read(board)
        return [board.contents[content[name]] for name in ("certificate", "private_key")]

    for steps in range(100):
        board = BoardFiles(old.contents, steps)
        try:
            backup.put_back(board, found, force=True)
        except Pulled:
            assert pair(board) in (pair(old), pair(new))
            continue
        assert pair(board) == pair(new)
        break
    assert steps > 9


def test_a_file_whose_name_the_board_has_for_another_comes_under_its_own(tmp_path):
    kept_board = a_board()
    root = certificate(new_key(), "ca", encoding=DER)
    provision.install(
        kept_board,
        provision.read(kept_board),
        changes.Change({"root_certificates": ["ca.der"]}, {"ca.der": root}),
    )
    path = kept(tmp_path, kept_board)
    other = BoardFiles({**kept_board.contents, "ca.der": b"another one"})
    backup.put_back(other, backup.read(path), force=True)
    (name,) = provision.read(other)["root_certificates"]
    assert name.endswith("-ca.der")
    assert other.contents[name] == root


def older(points):
    return {**points, "targets": {"thermostat1": 2400}}


def test_a_backup_without_set_points_leaves_none_of_the_boards_own(tmp_path):
    """Else a bedroom is heated to what the bathroom was set to, whose thermostat it was."""
    bathroom = a_board()
    copies = {
        "setpoints.json": json.dumps(POINTS).encode(),
        "setpoints.json.new": b'{"ver',
        "setpoints.json.bak": json.dumps(older(POINTS)).encode(),
    }
    bathroom.contents.update(copies)
    bedroom = a_board()
    del bedroom.contents["setpoints.json"]
    found = backup.read(kept(tmp_path, bedroom))
    assert found.set_points is None
    for steps in range(100):
        board = BoardFiles(bathroom.contents, steps)
        try:
            backup.put_back(board, found, force=True)
        except Pulled:
            # An older one does not come back in the place of a newer
            left = provision.copies(board, "setpoints.json")
            assert configuration.newest("setpoints.json", left) == POINTS
            continue
        assert not provision.copies(board, "setpoints.json")
        break
    assert provision.read(board) == found.configuration
