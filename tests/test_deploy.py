"""What is in ``deploy/`` can be used as it stands, and nox does what CI does."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from real import Chat, need, need_module

from twisted_chat.settings import EXTRAS
from twisted_chat.tap import Options

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"


def test_compose():
    """The options of each node are taken, no two nodes have one name, and haproxy knows all."""
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    names = []
    for host, service in services.items():
        if host.startswith("node-"):
            options = Options()
            options.parseOptions(service["command"])
            assert options.redis.host == "redis"
            assert f"node-{options['node']}" == host
            names.append(host)
    assert len(names) == len(set(names)) == 3
    servers = re.findall(r"^    server \w+ .*-(node-\w):8888", haproxy(), re.MULTILINE)
    assert servers == names


def haproxy() -> str:
    return (DEPLOY / "haproxy.cfg").read_text("utf-8")


def test_haproxy():
    """The program has nothing to say against its file."""
    command = [need("haproxy"), "-c", "-f", str(DEPLOY / "haproxy.cfg")]
    here = {f"NODE_{name}": f"127.0.0.1:{7400 + number}" for number, name in enumerate("ABC")}
    done = subprocess.run(
        command,
        env={**os.environ, **here},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr


def options_in(command: list[str]) -> Options:
    """Have the options read of a command that runs twistd."""
    place = command.index("tcpchat")
    assert command[0].endswith("twistd")
    assert command[1:place] == ["-n", "--pidfile="]
    options = Options()
    options.parseOptions(command[place + 1 :])
    return options


def test_unit():
    """The options of the service are taken, and it finds the port that the socket names."""
    unit = (DEPLOY / "tcpchat.service").read_text("utf-8").replace("\\\n", " ")
    [line] = re.findall("^ExecStart=(.*)$", unit.replace("%S", "/var/lib"), re.MULTILINE)
    options = options_in(shlex.split(line))
    assert options["port"] == ["systemd:domain=INET6:name=chat"]
    assert options["state"] == "/var/lib/tcpchat/tcpchat.sqlite"
    socket = (DEPLOY / "tcpchat.socket").read_text("utf-8")
    assert "\nFileDescriptorName=chat\n" in socket


def dockerfile() -> list[tuple[str, str]]:
    """Give the instructions of the Dockerfile."""
    text = re.sub("(?m)^#.*\n", "", (DEPLOY / "Dockerfile").read_text("utf-8"))
    lines = text.replace("\\\n", " ").splitlines()
    return [(one.partition(" ")[0], one.partition(" ")[2]) for one in lines if one]


def test_dockerfile():
    """What it copies is there, and each door; the chat is no root, and takes its options."""
    for kind, words in dockerfile():
        if kind == "COPY" and not words.startswith("--from="):
            *sources, _ = words.split()
            assert all((ROOT / source).exists() for source in sources)
    last = dict(dockerfile())  # of each kind
    (extras,) = re.findall(r"'\.\[(.*)\]'", (DEPLOY / "Dockerfile").read_text("utf-8"))
    assert {*extras.split(",")} == {*EXTRAS, "tls", "redis"}
    assert last["USER"] == "chat"
    assert options_in(json.loads(last["ENTRYPOINT"]))["port"] == [f"tcp:{last['EXPOSE']}"]
    order = [kind for kind, _ in dockerfile()]
    assert order.index("USER") > max(place for place, one in enumerate(order) if one == "RUN")


@pytest.mark.real
def test_health_check(tmp_path):
    """The container's check is content with a chat that greets, and with nothing else."""
    _, _, command = dict(dockerfile())["HEALTHCHECK"].partition("CMD ")
    program, *arguments = json.loads(command)
    assert program == "python"
    with Chat(tmp_path, warm=False) as chat:
        arguments = [one.replace("8888", str(chat.port)) for one in arguments]
        check = [sys.executable, *arguments]
        assert subprocess.run(check, check=False, timeout=20).returncode == 0
    done = subprocess.run(check, check=False, timeout=20, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert b"refused" in done.stderr


def test_nox_does_what_ci_does():
    """Each step of ``.ci/run`` that is no preparation is a session, and a session is a step."""
    need_module("nox")
    steps = re.findall(
        "^step .* (?:begin_|end_)?([a-z]+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE
    )
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "--list", "--json"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    sessions = {session["name"] for session in json.loads(listed.stdout)}
    assert sessions == {*steps} - {"programs", "axe", "copy"}
