"""Recorded /proc/net texts."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from debugtool.processes.sockets import is_go_plugin_socket, parse_unix
from debugtool.system import listener_owner, parse_tcp, peer_uid

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
TAIL = "1 0000000000000000 100 0 0 10 0\n"
LOCALHOST_6 = "00000000000000000000000001000000"
MAPPED_6 = "0000000000000000FFFF00000100007F"


def line(local: str, remote: str, state: str, uid: int, inode: int) -> str:
    return f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000  {uid:4}        0 {inode} {TAIL}"


def tree(root: Path, tcp: str, tcp6: str = "") -> Path:
    (root / "self/net").mkdir(parents=True)
    (root / "self/net/tcp").write_text(HEAD + tcp)
    (root / "self/net/tcp6").write_text(HEAD + tcp6)
    return root


def test_addresses_of_both_families() -> None:
    text = HEAD + line("0100007F:0C96", "00000000:0000", "0A", 1000, 55)
    (listening,) = parse_tcp(text)
    assert (listening.local, listening.state, listening.uid) == ((ip_address("127.0.0.1"), 3222), 10, 1000)
    (six,) = parse_tcp(HEAD + line(f"{LOCALHOST_6}:0C96", f"{'0' * 32}:0000", "0A", 0, 1))
    assert six.local == (ip_address("::1"), 3222)
    (mapped,) = parse_tcp(HEAD + line(f"{MAPPED_6}:0C96", f"{MAPPED_6}:1000", "01", 0, 1))
    assert mapped.local == (ip_address("127.0.0.1"), 3222)


def test_the_peer_is_the_socket_with_our_ports_the_other_way_round(tmp_path: Path) -> None:
    ours = line("0100007F:0C96", "0100007F:A000", "01", 1000, 55)
    theirs = line("0100007F:A000", "0100007F:0C96", "01", 1001, 56)
    assert peer_uid(3222, 0xA000, proc=tree(tmp_path, ours + theirs)) == 1001


def test_a_peer_that_has_closed_is_nobody_and_not_root(tmp_path: Path) -> None:
    time_wait = line("0100007F:A000", "0100007F:0C96", "06", 0, 0)
    assert peer_uid(3222, 0xA000, proc=tree(tmp_path, time_wait)) is None


def test_another_loopback_address_with_the_same_ports_does_not_lend_its_user(tmp_path: Path) -> None:
    """GIVEN a connection, WHEN another user has one with its ports from 127.0.0.2, THEN they are told apart."""
    proc = tree(
        tmp_path,
        line("0100007F:A000", "0100007F:0C96", "01", 1000, 56) + line("0200007F:A000", "0100007F:0C96", "01", 1001, 57),
    )
    assert peer_uid(3222, 0xA000, proc=proc) is None
    assert peer_uid(3222, 0xA000, local_host="127.0.0.1", remote_host="127.0.0.2", proc=proc) == 1001
    assert peer_uid(3222, 0xA000, local_host="127.0.0.1", remote_host="127.0.0.1", proc=proc) == 1000


def test_a_connection_between_families_is_found(tmp_path: Path) -> None:
    proc = tree(tmp_path, "", line(f"{MAPPED_6}:A000", f"{MAPPED_6}:0C96", "01", 1001, 56))
    assert peer_uid(3222, 0xA000, local_host="::ffff:127.0.0.1", remote_host="::ffff:127.0.0.1", proc=proc) == 1001


def test_a_listener_whose_descriptors_are_hidden_is_known_by_its_user(tmp_path: Path) -> None:
    owner = listener_owner(3222, proc=tree(tmp_path, line("00000000:0C96", "00000000:0000", "0A", 1001, 55)))
    assert owner is not None
    assert (owner.uid, owner.process) == (1001, None)
    assert listener_owner(3223, proc=tmp_path) is None


def test_unix_sockets_that_listen_and_have_a_name() -> None:
    text = (
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 21 /tmp/plugin12 34\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03 22 /tmp/plugin1234\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 23 @/tmp/.X11-unix/X0\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 24\n"
    )
    assert parse_unix(text) == {21: "/tmp/plugin12 34", 23: "@/tmp/.X11-unix/X0"}
    assert is_go_plugin_socket("/tmp/plugin12")
    assert not is_go_plugin_socket("/tmp/plugins/other.sock")
