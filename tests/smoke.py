"""Start an installed chat, talk to it, stop it: ``python tests/smoke.py .venv/bin/twistd``.

It needs the standard library alone, and nothing of the checkout: ``.ci/run`` tries the wheel
with it.
"""

import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEADLINE = 20.0


def port_of(log: Path, server: "subprocess.Popen[bytes]") -> int:
    """Wait until the log names the port.

    :raises SystemExit: the server ended, or did not begin in time.
    """
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until and server.poll() is None:
        if found := re.search(r"telnet localhost (\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.05)
    sys.exit(f"the chat did not start:\n{log.read_text()}")


def conversation(port: int) -> list[str]:
    """Have ann say something to bob; give what bob saw."""
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE) as ann,
        socket.create_connection(("127.0.0.1", port), DEADLINE) as bob,
    ):
        bob.sendall(b"/nick bob\r\n/join tea\r\n")
        heard = bob.makefile(encoding="utf-8", newline="\r\n")
        seen = [next(heard) for _ in range(4)]  # he is in the room before she is
        ann.sendall(b"/nick ann\r\n/join tea\r\nhello bob\r\n")
        seen += [next(heard) for _ in range(2)]
    return [line.rstrip("\r\n") for line in seen]


def main(twistd: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as output:
            server = subprocess.Popen(
                [Path(twistd).absolute(), "-n", "tcpchat", "--port", "tcp:0:interface=127.0.0.1"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            seen = conversation(port_of(log, server))
            server.terminate()
            code = server.wait(DEADLINE)
        finally:
            server.kill()
            server.wait()
        log_text = log.read_text()
    print("\n".join(seen))  # noqa: T201
    expected = ["> here: bob", "> ann joined the room", "> ann: hello bob"]
    if seen[-3:] != expected or code != 0:
        sys.exit(f"expected {expected} and exit code 0, not {code}:\n{log_text}")


if __name__ == "__main__":
    main(*sys.argv[1:])
