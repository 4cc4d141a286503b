import os
import threading
import time
import tty

import pytest
from vitric.boards.host import Device
from vitric.boards.transport import LinkFailure, SerialTransport
from vitric.golden.spec.accelerator import SPECS

from tests.boards.software_board import SoftwareBoard


@pytest.fixture
def terminal():
    """Return a pseudo terminal: the descriptor of a device, and the name of the port that it is plugged into."""
    device, port = os.openpty()
    tty.setraw(device)
    yield device, os.ttyname(port)
    for descriptor in (device, port):
        try:
            os.close(descriptor)
        except OSError:
            pass  # a test has unplugged it


def test_serial_port():
    transport = SerialTransport("loop://")
    transport.write(b"hello", 1.0)
    received = b""
    while len(received) < 5:
        received += transport.read(1.0)
    assert received == b"hello"
    assert transport.read(0.01) == b"" == transport.read(0.0)
    start = transport.clock()
    transport.send_break()
    assert 0.01 < transport.clock() - start < 5
    transport.close()
    with pytest.raises(LinkFailure, match="cannot write to the serial port"):
        transport.write(b"x", 1.0)


@pytest.mark.parametrize("port", [
    "no/such/port", "", "/", "/dev/null", "a\0b", "foo://x", "hwgrep://[", "loop://?logging=x", "socket://", "rfc2217://"])
def test_a_port_that_cannot_be_opened(port):
    with pytest.raises(LinkFailure, match="^cannot open the serial port: .") as caught:
        SerialTransport(port)
    assert "\n" not in str(caught.value)


def test_a_port_is_not_shared(terminal):
    transport = SerialTransport(terminal[1])
    with pytest.raises(LinkFailure, match="cannot open the serial port: "):
        SerialTransport(terminal[1])
    transport.close()
    SerialTransport(terminal[1]).close()


def test_bytes_pass_both_ways(terminal):
    device, port = terminal
    transport = SerialTransport(port)
    transport.write(bytes(range(256)), 1.0)
    assert os.read(device, 1000) == bytes(range(256))
    os.write(device, b"\x00\x03\x11\x13\r\n\xff")  # nothing means anything to the terminal
    received = b""
    while len(received) < 7:
        received += transport.read(1.0)
    assert received == b"\x00\x03\x11\x13\r\n\xff"
    start = transport.clock()
    assert transport.read(0.05) == b""
    assert 0.04 < transport.clock() - start < 5
    transport.close()


def test_a_board_at_the_other_end(terminal):
    device, port = terminal
    board = SoftwareBoard(SPECS["tiny"], infer=lambda columns: (1, sum(columns)))

    def serve():
        while len(board.requests) < 3:
            board.write(os.read(device, 1000), 1.0)
            while answer := board.read(0.0):
                os.write(device, answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    transport = SerialTransport(port)
    driver = Device(transport)
    assert [driver.infer(bytes([k, 7])).logits for k in range(2)] == [(1, 7), (1, 8)]
    thread.join(10)
    transport.close()


@pytest.mark.parametrize("attempts", [1, 3])
def test_unplugged(terminal, attempts):
    """While the driver waits for an answer, and when it asks again."""
    device, port = terminal
    transport = SerialTransport(port)
    threading.Timer(0.1, os.close, [device]).start()
    with pytest.raises(LinkFailure, match="cannot (read from|write to) the serial port: ."):
        Device(transport, timeout=2.0, attempts=attempts).info()
    with pytest.raises(LinkFailure, match="cannot (read from|write to) the serial port: ."):
        Device(transport, timeout=2.0, attempts=attempts).info()
    transport.close()


def test_a_line_that_takes_nothing(terminal):
    """Nobody reads at the other end: the buffers of the operating system are full at some time."""
    transport = SerialTransport(terminal[1])
    start = time.monotonic()
    with pytest.raises(LinkFailure, match="cannot write to the serial port: Write timeout"):
        transport.write(bytes(1 << 20), 0.2)
    assert time.monotonic() - start < 2
    transport.close()


def test_a_device_that_keeps_talking(terminal):
    device, port = terminal
    os.set_blocking(device, False)
    quiet = threading.Event()

    def talk():
        while not quiet.is_set():
            try:
                os.write(device, b"\x56\xa9\xff\x00\x05\x00" * 20)
            except BlockingIOError:
                time.sleep(1e-3)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    transport = SerialTransport(port)
    start = time.monotonic()
    with pytest.raises(LinkFailure, match="INFO failed 2 times: "):
        Device(transport, timeout=0.2, gap=0.01, attempts=2).info()
    assert time.monotonic() - start < 5
    quiet.set()
    thread.join(10)
    assert not thread.is_alive()
    transport.close()
