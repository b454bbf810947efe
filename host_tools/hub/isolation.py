"""A network of this process's own, in which an ordinary user may have port 443.

Linux gives it to anybody by a user and a network namespace, where the kernel is not told
otherwise: the process keeps its user and its files, has a loopback interface that nobody else
sees, and nothing but that. So neither do its children, among them the command of `hub exec`.

Sources: user_namespaces(7), network_namespaces(7), netdevice(7).
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from pathlib import Path

from host_tools.hub.server_error import ServerError

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1
# struct ifreq: a name of 16 bytes, flags, and room for the largest member of its union
_REQUEST = struct.Struct("16sh22x")


def isolate() -> None:
    """Move this process, which must have one thread, into a network of its own, for good.

    Raises ServerError where that is not to be had.
    """
    user, group = os.getuid(), os.getgid()
    try:
        _unshare()
        # Only itself; and it may do so only once it has given up changing groups
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        _bring_up_loopback()
    except OSError as error:
        raise ServerError(
            f"--isolated is not to be had here ({error.strerror}): it needs Linux with user "
            "namespaces that ordinary users may make; leave it out"
        ) from error


def _unshare() -> None:
    if sys.platform != "linux":
        raise OSError(0, "this is not Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _bring_up_loopback() -> None:
    if sys.platform != "linux":
        return
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = _REQUEST.pack(b"lo", 0)
        _, flags = _REQUEST.unpack(fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _REQUEST.pack(b"lo", flags | _IFF_UP))
