"""What is in ``deploy/`` for many nodes can be used as it stands."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from real import need

from twisted_chat.tap import Options

DEPLOY = Path(__file__).parent.parent / "deploy"


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
