"""The dialer over sockets and TLS that a test plays: steps, time-outs, one kind of error."""

import errno
import select

from doubles.clock import FakeClock
from expect import raises
from system import dialer as module
from system.dialer import Dialer


class PlayedSocket:
    def __init__(self, play):
        self.play = play
        self.connects = 0
        self.options = []
        self.is_blocking = True
        self.closed = 0

    def setblocking(self, flag):
        self.is_blocking = flag

    def setsockopt(self, level, option, value):
        self.options.append((level, option, value))
        if self.play.no_options:
            raise OSError(errno.EINVAL, "played")

    def connect(self, address):
        assert not self.is_blocking
        self.connects += 1
        self.play.addresses.append(address)
        if self.connects == 1:
            raise OSError(self.play.connect_errno, "played")
        raise OSError(self.play.reason, "played")

    def close(self):
        self.closed += 1
        raise OSError(errno.EBADF, "played")


class PlayedTls:
    def __init__(self, play):
        self.play = play
        self.closed = 0

    def write(self, buffer, offset, size):
        return self.play.result("write")

    def readinto(self, buffer, size=0):
        taken = self.play.result("read")
        if taken:
            buffer[0] = 0x55
        return taken

    def close(self):
        self.closed += 1


class PlayedPoll:
    events = 0

    def register(self, stream, mask):
        pass

    def poll(self, timeout_ms):
        assert timeout_ms == 0, "it would block"
        return [(None, PlayedPoll.events)] if PlayedPoll.events else []


class Play:
    """The world as the dialer sees it."""

    def __init__(self):
        self.connect_errno = 115
        self.reason = errno.ECONNREFUSED
        self.addresses = []
        self.no_options = False
        self.sockets = []
        self.wrapped = []
        self.wrap_error = None
        self.results = {"write": [], "read": []}
        self.resolved = []
        self.answers = ["address"]

    def socket(self):
        self.sockets.append(PlayedSocket(self))
        return self.sockets[-1]

    def wrap_socket(self, sock, server_hostname=None, do_handshake_on_connect=True):
        assert not do_handshake_on_connect
        if self.wrap_error is not None:
            raise self.wrap_error
        self.wrapped.append(server_hostname)
        return PlayedTls(self)

    def result(self, kind):
        result = self.results[kind].pop(0) if self.results[kind] else None
        if isinstance(result, Exception):
            raise result
        return result

    def resolve(self, host, port):
        self.resolved.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class PollModule:
    POLLOUT = select.POLLOUT
    POLLERR = select.POLLERR
    POLLHUP = select.POLLHUP
    poll = PlayedPoll


def _bench():
    play, clock = Play(), FakeClock()
    PlayedPoll.events = 0
    return play, clock, Dialer(play, clock, play.resolve, 20_000, play, PollModule)


def _connected():
    play, clock, dialer = _bench()
    link = dialer.dial("hub", 8883)
    PlayedPoll.events = select.POLLOUT
    assert link.ready()
    return play, clock, dialer, link


def test_name_tcp_and_tls_in_steps():
    play, _, dialer = _bench()
    play.answers = [None, None, "address"]
    link = dialer.dial("hub", 8883)
    assert not link.ready()
    assert not link.ready()
    assert play.sockets == []
    assert not link.ready()
    assert play.addresses == ["address"]
    assert play.sockets[0].options == [(6, 1, 1)]
    assert not link.ready()
    assert play.wrapped == []
    PlayedPoll.events = select.POLLOUT
    assert link.ready()
    assert link.ready()
    # SNI and name check
    assert play.wrapped == ["hub"]
    assert play.resolved == [("hub", 8883)] * 3


def test_every_ports_number_for_in_progress():
    for number in (115, 119, 11):
        play, _, dialer = _bench()
        play.connect_errno = number
        assert not dialer.dial("hub", 1).ready()
    play, _, dialer = _bench()
    play.connect_errno = 101  # ENETUNREACH
    with raises(OSError):
        dialer.dial("hub", 1).ready()


def test_a_port_without_nodelay_still_connects():
    play, _, dialer = _bench()
    play.no_options = True
    PlayedPoll.events = select.POLLOUT
    assert dialer.dial("hub", 1).ready()


def test_a_refused_connection_tells_its_reason():
    for reason, expected in ((errno.ECONNREFUSED, None), (113, 113), (106, errno.ECONNREFUSED)):
        play, _, dialer = _bench()
        play.reason = reason
        link = dialer.dial("hub", 1)
        PlayedPoll.events = select.POLLERR | select.POLLHUP | select.POLLOUT
        with raises(OSError) as caught:
            link.ready()
        assert caught.error.args[0] == (expected or reason)


def test_each_stage_counts_against_one_deadline():
    for stage, text in ((0, "address"), (1, "connection"), (2, "TLS handshake")):
        play, clock, dialer = _bench()
        play.answers = [None] if stage == 0 else ["address"]
        link = dialer.dial("hub", 1)
        link.ready()
        if stage == 2:
            PlayedPoll.events = select.POLLOUT
            assert link.ready()
        clock.advance(20_001)
        with raises(OSError, text):
            if stage == 2:
                link.write(b"x", 0, 1)
            else:
                link.ready()


def test_after_the_handshake_there_is_no_deadline():
    play, clock, _, link = _connected()
    play.results["write"] = [None, 5]
    assert link.write(b"hello", 0, 5) == 0
    assert link.write(b"hello", 0, 5) == 5
    clock.advance(10_000_000)
    assert link.write(b"hello", 0, 5) == 0


def test_tls_faults_are_oserrors_with_their_reason():
    for fault, text in (
        (ValueError("\nThe certificate validity has expired\n"), "TLS: The certificate validity"),
        (OSError(-0x7780, "MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE"), "TLS failed: MBEDTLS_ERR_SSL"),
        (OSError(errno.ECONNRESET, "played"), ""),
    ):
        for kind in ("write", "read"):
            play, _, _, link = _connected()
            play.results[kind] = [fault]
            with raises(OSError, text):
                if kind == "write":
                    link.write(b"x", 0, 1)
                else:
                    link.read_into(bytearray(1), 0, 1)
    play, _, dialer = _bench()
    play.wrap_error = ValueError("CERT_REQUIRED requires server_hostname")
    PlayedPoll.events = select.POLLOUT
    with raises(OSError, "TLS: CERT_REQUIRED"):
        dialer.dial("hub", 1).ready()


def test_nothing_now_is_zero_and_the_end_is_an_error():
    play, _, _, link = _connected()
    buffer = bytearray(4)
    play.results["read"] = [None, OSError(errno.EAGAIN, "played"), 1, 1, 0]
    assert link.read_into(buffer, 0, 4) == 0
    assert link.read_into(buffer, 0, 4) == 0
    assert link.read_into(buffer, 0, 4) == 1
    assert link.read_into(buffer, 2, 2) == 1
    assert buffer == b"\x55\0\x55\0"
    with raises(OSError, "closed by the peer"):
        link.read_into(buffer, 0, 4)
    play.results["write"] = [OSError(errno.EAGAIN, "played")]
    assert link.write(b"x", 0, 1) == 0


def test_close_is_final_and_may_be_repeated():
    play, _, _, link = _connected()
    link.close()
    link.close()
    assert play.sockets[0].closed == 1
    for call in (link.ready, link.readable):
        with raises(OSError, "closed"):
            call()
    with raises(OSError, "closed"):
        link.write(b"x", 0, 1)
    with raises(OSError, "closed"):
        link.read_into(bytearray(1), 0, 1)


def test_the_last_good_address_is_a_fallback_only():
    play, _, dialer, link = _connected()
    play.answers = [OSError(-2)]
    # Not yet known to be good: no handshake was done there
    with raises(OSError):
        dialer.dial("hub", 8883).ready()
    play.results["write"] = [1]
    link.write(b"x", 0, 1)
    PlayedPoll.events = 0
    dialer.dial("hub", 8883).ready()
    assert play.addresses[-1] == "address"
    play.answers = ["moved"]
    dialer.dial("hub", 8883).ready()
    assert play.addresses[-1] == "moved"
    play.answers = [OSError(-2)]
    with raises(OSError):
        dialer.dial("other", 8883).ready()


def test_a_socket_of_which_something_else_is_told_is_not_yet_connected():
    play, _, dialer = _bench()
    link = dialer.dial("hub", 8883)
    PlayedPoll.events = select.POLLIN
    assert not link.ready()
    assert play.wrapped == []


def test_who_waits_for_data_stands_in_asyncios_own_queue_for_one_turn():
    queued = []

    class Queue:
        def queue_read(self, stream):
            queued.append(stream)

    class Core:
        _io_queue = Queue()

    class Asyncio:
        core = Core

    async def wait(link):
        await link.readable()

    _, _, _, link = _connected()
    real, module.asyncio = module.asyncio, Asyncio
    try:
        for turn in range(1, 4):
            waiting = wait(link)
            assert waiting.send(None) is None
            assert len(queued) == turn
            with raises(StopIteration):
                waiting.send(None)
            assert len(queued) == turn
    finally:
        module.asyncio = real
    assert isinstance(queued[0], PlayedTls)
    assert queued[1:] == queued[:1] * 2


def test_who_finds_no_heap_to_wait_with_is_not_left_in_the_queue():
    """A task that ended and is woken from there is run twice, and takes others with it."""
    queued = []

    def scarce(_):
        raise MemoryError

    class Queue:
        queue_read = queued.append

    class Core:
        _io_queue = Queue

    class Asyncio:
        core = Core

    async def wait(link):
        await link.readable()

    _, _, _, link = _connected()
    real, module.asyncio, module.iter = module.asyncio, Asyncio, scarce
    try:
        with raises(MemoryError):
            wait(link).send(None)
    finally:
        module.asyncio = real
        del module.iter
    assert queued == []


def test_a_link_for_which_the_heap_has_no_room_can_be_closed_and_the_next_one_is_whole():
    def scarce():
        raise MemoryError

    for is_poll in (True, False):
        play, _, dialer = _bench()
        PlayedPoll.events = select.POLLOUT
        link = dialer.dial("hub", 8883)
        if is_poll:
            PollModule.poll = scarce
        else:
            play.wrap_error = MemoryError()
        try:
            with raises(MemoryError):
                link.ready()
        finally:
            PollModule.poll = PlayedPoll
        link.close()
        assert play.sockets[0].closed == 1
        play.wrap_error = None
        assert dialer.dial("hub", 8883).ready()
