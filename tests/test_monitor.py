"""The port of metrics of a real chat: who asks there, and what they are told."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.request import urlopen

import pytest
from cluster import Cluster
from doors import DOORS, Doors
from real import ANYWHERE, SECONDS, Chat, Peer, Process, free_port, need, need_module, wait_until
from test_handover import renew
from test_metrics import figures

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent
MOST = 20
"""Connections that the port takes at a time."""


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    port = free_port()
    doors = Doors(tmp_path_factory.mktemp("chat"), "--metrics", str(port))
    doors.monitor_port = port
    with doors.chat:
        yield doors


def ask(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Ask for something; give the status and what came with it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def sees(port: int) -> dict[str, float]:
    status, content = ask(port, "/metrics")
    assert status == 200
    return figures(content)


@pytest.mark.parametrize("door", DOORS)
def test_connections_by_door(doors, door):
    """Whoever comes through a door is counted there, as coming, as being there, and as going."""
    kind = {"json": "json", "page": "page", "page over tls": "page", "ssh": "ssh"}.get(
        door, "telnet"
    )
    here = f"tcpchat_connections{{door={kind}}}"
    opened = f"tcpchat_connections_opened_total{{door={kind}}}"
    ended = f"tcpchat_connections_ended_total{{door={kind},how=quit}}"
    wait_until(lambda: not sees(doors.monitor_port).get(here), "nobody at that door")
    before = sees(doors.monitor_port)
    peer = doors.chat.connect(**doors.ways(door), greeted=False)
    peer.read()
    assert sees(doors.monitor_port)[here] == 1
    peer.say("/quit")
    peer.read_to_end()
    peer.close()
    wait_until(lambda: sees(doors.monitor_port)[here] == 0, "the end of the connection")
    after = sees(doors.monitor_port)
    changes = [after[one] - before.get(one, 0) for one in (opened, ended)]
    assert changes == [1, 1]


def test_the_process_and_its_reactor(doors):
    """What is told of the process is true of this one, and the reactor is watched."""
    seen = sees(doors.monitor_port)
    assert 0 < seen["process_open_fds"] <= doors.chat.descriptors() + 5
    wait_until(
        lambda: sees(doors.monitor_port)["tcpchat_reactor_delay_seconds_count"] > 0, "a beat"
    )


def test_only_what_is_there_can_be_asked_for(doors):
    """Nothing else is served, in no other way, and nothing is told of what went wrong."""
    port = doors.monitor_port
    assert ask(port, "/healthz") == (200, b"ok\n")
    assert ask(port, "/readyz") == (200, b"ready\n")
    assert ask(port, "/readyz", "HEAD") == (200, b"")
    for path in ("/", "/metrics/x", "/../etc/passwd", "/%00", "/ws"):
        status, content = ask(port, path)
        assert (status, b"Traceback" in content) == (404, False)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
        assert ask(port, "/metrics", method)[0] in (405, 501)


@pytest.mark.parametrize(
    "data",
    [
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
        b"GET /" + b"a" * 100_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10 + b"\r\n\r\n",
        b"hello\r\n",
    ],
    ids=["a body", "chunks", "headers", "a path", "tls", "telnet"],
)
def test_what_is_no_question(doors, data):
    """It is refused and closed at once, and the next one is answered."""
    with socket.create_connection(("127.0.0.1", doors.monitor_port), SECONDS) as sock:
        try:
            sock.sendall(data)
            answer = b"".join(iter(lambda: sock.recv(1 << 16), b""))
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
    assert b"tcpchat_" not in answer
    assert ask(doors.monitor_port, "/healthz") == (200, b"ok\n")


def test_a_connection_serves_one_question(doors):
    """Whatever is asked after the first is not answered."""
    with socket.create_connection(("127.0.0.1", doors.monitor_port), SECONDS) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        answer = b"".join(iter(lambda: sock.recv(1 << 16), b""))
    assert answer.count(b"HTTP/1.1 200") == answer.count(b"ok\n") == 1
    assert b"connection: close" in answer.lower()


def test_many_who_ask_nothing(doors):
    """No more than so many are let in; people do not notice."""
    idle = []
    try:
        for _ in range(MOST):
            idle.append(socket.create_connection(("127.0.0.1", doors.monitor_port), SECONDS))
        late = socket.create_connection(("127.0.0.1", doors.monitor_port), SECONDS)
        idle.append(late)
        assert Peer(late).read_to_end() == b""
        with doors.chat.connect() as peer:
            peer.asks("/rooms", "> available rooms: none. /join NAME makes one")
    finally:
        for sock in idle:
            sock.close()
    wait_until(lambda: _answers(doors.monitor_port), "an answer again")


def _answers(port: int) -> bool:
    try:
        return ask(port, "/healthz")[0] == 200
    except OSError:
        return False


def test_a_stop_in_order(tmp_path):
    """While people are being let go the chat lives, but nobody is to be sent to it."""
    port = free_port()
    options = ("--flood", "off", "--drain", "60", "--metrics", str(port))
    with Chat(tmp_path, *options, ports=[ANYWHERE], warm=False) as chat:
        stuck = chat.enter("stuck", receive_buffer=4096)
        talk_until_output_waits(chat.enter("ann"), port)
        assert ask(port, "/readyz") == (200, b"ready\n")
        chat.signal(signal.SIGTERM)
        wait_until(lambda: ask(port, "/readyz")[0] == 503, "that it is not ready")
        assert ask(port, "/readyz") == (503, b"not ready: the chat is not running\n")
        assert ask(port, "/healthz") == (200, b"ok\n")
        assert sees(port)["tcpchat_ready"] == 0
        stuck.close()
        assert chat.exit_code() == 0


def talk_until_output_waits(talker: Peer, port: int) -> None:
    def waits() -> bool:
        talker.say(*["x" * 1000] * 20)
        return sees(port)["tcpchat_waiting_output_bytes"] > 0

    wait_until(waits, "output that waits")


def test_a_hot_restart(tmp_path):
    """The port goes on in the new process, which knows how often there was one."""
    port = free_port()
    with Chat(tmp_path, "--metrics", str(port), ports=[ANYWHERE], warm=False) as chat:
        peer = chat.connect()
        assert sees(port)["tcpchat_hot_restarts_total"] == 0
        for times in (1, 2):
            renew(chat)
            seen = sees(port)
            assert seen["tcpchat_hot_restarts_total"] == times
            assert seen["tcpchat_connections{door=telnet}"] == 1
            assert "tcpchat_connections_opened_total{door=telnet}" not in seen
            assert ask(port, "/readyz") == (200, b"ready\n")
        peer.asks("/rooms", "> available rooms: none. /join NAME makes one")


def test_without_redis(tmp_path):
    """A node that is cut off from Redis says so until it has it again; lag is measured."""
    port = free_port()
    with Cluster(tmp_path, nodes=0) as cluster:
        node = cluster.add("--metrics", str(port))
        wait_until(lambda: ask(port, "/readyz")[0] == 200, "a node that is ready")
        with node.connect(greeted=False) as peer:
            peer.read()
            assert sees(port)["tcpchat_backplane_lag_seconds_count"] > 0
        cluster.redis.kill()
        wait_until(lambda: ask(port, "/readyz")[0] == 503, "a node that is cut off")
        assert ask(port, "/readyz")[1] == b"not ready: Redis cannot be reached\n"
        assert ask(port, "/healthz")[0] == 200
        cluster.redis.start()
        wait_until(lambda: ask(port, "/readyz")[0] == 200, "a node that is ready again")


# Prometheus itself


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        [need("promtool"), *arguments],
        cwd=ROOT / "tests",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_alerts():
    """Each rule is taken, is silent while all is well, and fires; the page tells of all of them."""
    yaml = need_module("yaml")
    promtool("check", "config", "../deploy/prometheus.yaml")
    promtool("test", "rules", "alerts_test.yaml")
    [group] = yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text("utf-8"))["groups"]
    tried = yaml.safe_load((ROOT / "tests/alerts_test.yaml").read_text("utf-8"))["tests"][0]
    alerts = {rule["alert"] for rule in group["rules"]}
    assert alerts == {one["alertname"] for one in tried["alert_rule_test"] if one.get("exp_alerts")}
    text = (ROOT / "docs/metrics.rst").read_text("utf-8")
    assert [alert for alert in alerts if f"``{alert}``" not in text] == []


def test_prometheus(doors, tmp_path):
    """Prometheus, with our files, finds that the chat is up, and can evaluate all rules."""
    port = free_port()
    text = (ROOT / "deploy/prometheus.yaml").read_text("utf-8")
    assert "127.0.0.1:9100" in text
    text = text.replace("127.0.0.1:9100", f"127.0.0.1:{doors.monitor_port}")
    (tmp_path / "prometheus.yaml").write_text(text.replace("15s", "1s"))
    (tmp_path / "alerts.yaml").write_text((ROOT / "deploy/alerts.yaml").read_text("utf-8"))
    with (tmp_path / "log").open("wb") as log:
        server = Process(
            subprocess.Popen(
                [
                    *(need("prometheus"), "--config.file", str(tmp_path / "prometheus.yaml")),
                    *("--storage.tsdb.path", str(tmp_path / "data")),
                    *("--web.listen-address", f"127.0.0.1:{port}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        )

    def query(path: str):
        try:
            with urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=SECONDS) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def value(expression: str):
        found = query(f"query?query={expression}")
        return found and [one["value"][1] for one in found["result"]]

    try:
        wait_until(lambda: value("up") == ["1"], "a chat that is up")
        assert value("tcpchat_ready") == ["1"]
        [group] = wait_until(lambda: query("rules"), "rules")["groups"]
        wait_until(
            lambda: all(rule["health"] == "ok" for rule in query("rules")["groups"][0]["rules"]),
            "rules that were evaluated",
        )
        assert len(group["rules"]) == 11
    finally:
        server.end()
