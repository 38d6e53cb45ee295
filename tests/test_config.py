"""The file of options: what it may say, what wins, what is new, and ``--check``."""

import os
import re
import signal
import sqlite3
import subprocess
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from real import ANYWHERE, SECONDS, Chat, twistd
from twisted.python import usage

from twisted_chat import config, tap
from twisted_chat.reload import differences
from twisted_chat.settings import PRECEDENCE, Settings
from twisted_chat.state.database import Database
from twisted_chat.values import Mistakes


@pytest.fixture
def file(tmp_path):
    return tmp_path / "chat.toml"


def parse(file, text, *arguments):
    """Parse a command line that names a file which says this."""
    file.write_text(text, "utf-8")
    settings = Settings()
    settings.parse(["--config", str(file), *arguments], Path("/"))
    return settings


def refusal(file, text, *arguments):
    """Give the one line with which that is refused."""
    with pytest.raises(usage.UsageError) as refused:
        parse(file, text, *arguments)
    (line,) = str(refused.value).splitlines()
    return line


# What it may say


def test_an_empty_file_changes_nothing(file):
    """What is not in the file is as if there were none."""
    settings, bare = parse(file, ""), Settings()
    bare.parse([], Path("/"))
    assert {**settings, "config": None} == bare
    assert settings.limits == bare.limits


@pytest.mark.parametrize(
    ("text", "option", "means"),
    [
        ("port = 9999", "port", ["tcp:9999"]),
        ('port = "unix:/run/chat"', "port", ["unix:/run/chat"]),
        ('port = [9999, "tcp:1:interface=::1"]', "port", ["tcp:9999", "tcp:1:interface=::1"]),
        ("port = []", "port", ["tcp:8888"]),
        ('operator = "ann"', "operator", ["ann"]),
        ('operator = ["ann", "bob"]', "operator", ["ann", "bob"]),
        ("max-line = 512", "max-line", "512"),
        ('max-line = "512"', "max-line", "512"),
        ("idle-timeout = 0.5", "idle-timeout", "0.5"),
        ('flood = "off"', "flood", "off"),
        ('keep = "90d"', "keep", "90d"),
        ('state = ":memory:"', "state", ":memory:"),
    ],
)
def test_what_it_says_is_what_an_option_would(file, text, option, means):
    """A value is text or a number; there may be several where the option may be repeated."""
    assert parse(file, text)[option] == means


@given(st.text(st.characters(codec="utf-8"), max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_text_means_the_same_on_either_way(tmp_path, text):
    """Each option takes from a file just what it takes from the command line."""
    file = tmp_path / "any.toml"
    escaped = "".join(f"\\U{ord(character):08x}" for character in text)
    for name in ("max-line", "flood", "keep", "operator", "port", "drain"):
        file.write_text(f'{name} = "{escaped}"', "utf-8")
        said = []
        for line in (f"--{name}={text}", f"--config={file}"):
            other = Settings()
            try:
                other.parse([line], Path("/"))
                said.append((other[name], other.limits))
            except usage.UsageError as error:
                said.append(str(error).removeprefix("--").removeprefix(f"{file}:1: "))
        assert said[0] == said[1]


def test_files_are_beside_the_file(file):
    """Relative names in it are relative to its directory, wherever the process is started."""
    for name in ("motd", "passwords"):
        (file.parent / name).write_text("hello")
    found = parse(file, 'motd = "motd"\nstate = "state"\nauth = "file:passwords"')
    assert found["motd"] == file.parent / "motd"
    assert found.motd == ["hello"]
    assert found["state"] == str(file.parent / "state")
    assert [checker.filename for checker in found.checkers] == [str(file.parent / "passwords")]


def test_its_own_name_is_made_absolute(file, monkeypatch):
    """The file is found again after the process has changed directory."""
    file.write_text("max-line = 512")
    found = Settings()
    found.parse(["--config", file.name], file.parent)
    monkeypatch.chdir("/")
    assert found["config"] == str(file)
    file.write_text("max-line = 600")
    assert found.again().limits.max_line == 600


@pytest.mark.parametrize(
    ("arguments", "option", "means"),
    [
        (["--max-line", "1024"], "max-line", "1024"),
        (["--max-l=1024"], "max-line", "1024"),
        (["-p", "1"], "port", ["tcp:1"]),
        (["--port", "1", "--port", "2"], "port", ["tcp:1", "tcp:2"]),
        (["--operator", "cyd"], "operator", ["cyd"]),
        (["--auth", "memory:cyd:secret"], "auth", ["memory:cyd:secret"]),
    ],
)
def test_the_command_line_wins(file, arguments, option, means):
    """Also with the value that is the default, and with all values of what is repeated."""
    text = 'max-line = 512\nport = [8, 9]\noperator = ["ann"]\nauth = "memory:ann:secret"'
    found = parse(file, text, *arguments)
    assert (list(found[option]) if option == "auth" else found[option]) == means
    assert [len(found["port"]), len(found["operator"]), len(found.checkers)] == [
        len(means) if option == "port" else 2,
        1,
        1,
    ]


# What is refused


NUMBER = "takes a number, 0 for no limit"
TEXT = "takes text in quotes or a number"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max-line = 3", "max-line 3: takes 16 to 65536 bytes"),
        ("max-line = 512.0", "max-line 512.0: takes 16 to 65536 bytes"),
        ('max-line = ""', "max-line : takes 16 to 65536 bytes"),
        ("max-connections = -1", f"max-connections -1: {NUMBER}"),
        ("drain = nan", "drain nan: takes seconds"),
        ('drain = "\\u001b[2J"', "drain \ufffd[2J: takes seconds"),
        ('keep = "soon"', "keep soon: takes a time such as 10m, 2h or 30d"),
        ('operator = ["ann", "a b"]', "operator a b: takes a name that people may have"),
        ('motd = "missing"', "motd {}/missing: takes a file of UTF-8 text"),
        ('state = ""', "state : takes a file, or :memory:"),
        ('state = "a\\u0000b"', "state a\ufffdb: takes a file, or :memory:"),
        ("max-line = true", f"max-line true: {TEXT}"),
        ("max-line = [512]", f"max-line [...]: {TEXT}"),
        ("max-line = 2026-11-22", f"max-line 2026-11-22: {TEXT}"),
        ("[max-line]", f"max-line {{...}}: {TEXT}"),
        ("[[port]]", f"port {{...}}: {TEXT}, or a list of these"),
        ("port = [[1]]", f"port [...]: {TEXT}, or a list of these"),
        (f"sendq = 0x{'f' * 5000}", f"sendq a number of many digits: {TEXT}"),
        ("max-lime = 3", "max-lime: there is no such option for a file. perhaps max-line"),
        ("max_line = 3", "max_line: there is no such option for a file. perhaps max-line"),
        ("xyzzy = 3", "xyzzy: there is no such option for a file. --help lists them"),
        ('"\\u001b" = 3', "\ufffd: there is no such option for a file. --help lists them"),
        ('config = "more.toml"', "config: there is no such option for a file. --help lists them"),
        ("check = 1", "check: there is no such option for a file. --help lists them"),
        ("help = 1", "help: there is no such option for a file. --help lists them"),
    ],
)
def test_a_wrong_value(file, text, words):
    """It is one line with the file, the name, the value and what is right."""
    assert refusal(file, text) == f"{file}:1: {words.replace('{}/', f'{file.parent}/')}"


@pytest.mark.parametrize("value", ['"memory:ann"', '["memory:ann"]', '{ memory = "ann:secret" }'])
def test_a_password_in_a_wrong_value_is_not_shown(file, value):
    """Neither what follows the type of a checker nor what is of the wrong type is shown."""
    line = refusal(file, f"auth = {value}")
    assert line.startswith(f"{file}:1: auth ")
    assert "ann" not in line


def test_a_wrong_value_is_wrong_though_the_command_line_wins(file):
    """Some day the option will not be on the command line any more."""
    assert refusal(file, "max-line = 3", "--max-line", "512").startswith(f"{file}:1: max-line 3: ")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"max-line", "Expected '=' after a key in a key/value pair (at end of document)"),
        (b"max-line = ", "Invalid value (at end of document)"),
        (b"drain = 1\ndrain = 2", "Cannot overwrite a value (at end of document)"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"sendq = " + b"9" * 5000, "Exceeds the limit"),
        (b"port = " + b"[" * 50000, ""),
    ],
)
def test_what_is_no_toml(file, content, why):
    """It is refused in one line with the place, whatever is wrong with it."""
    file.write_bytes(content)
    with pytest.raises(usage.UsageError) as refused:
        Settings().parse(["--config", str(file)], Path("/"))
    line = str(refused.value)
    assert line.startswith(f"--config {file}: {why}")
    assert line.endswith(". takes a file of TOML")
    assert "\n" not in line


@given(st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path, content):
    """There is no file that raises anything but the one line."""
    file = tmp_path / "any"
    file.write_bytes(content)
    refused = ""
    try:
        Settings().parse(["--config", str(file)], tmp_path)
    except usage.UsageError as error:
        refused = str(error)
    assert not refused or refused.startswith((f"--config {file}: ", f"{file}:"))
    assert len(refused.splitlines()) <= 1


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe", "empty"])
def test_what_is_no_file(tmp_path, kind):
    """A file that is not there, or is something else, is refused at once."""
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    name = "" if kind == "empty" else kind
    with pytest.raises(usage.UsageError) as refused:
        Settings().parse([f"--config={name}"], tmp_path)
    assert str(refused.value) == (
        f"--config {tmp_path / name}: there is no such file. takes a file of TOML"
    )


# Several mistakes


def test_every_mistake_is_told(file):
    """Each has a line, in the file and on the command line, with its place and what is right."""
    (file.parent / "motd").write_bytes(b"\xff")
    text = """
        "max-lime" = 3
        operator = [
            "ann",
            "a b",  # whose place is where the list begins
            "server",
        ]
        max-line = true  # and
        drain = "soon"
        motd = "motd"
        """
    with pytest.raises(Mistakes) as told:
        parse(file, text, "--flod", "7", "--grace", "-1", "--port=99999", "--xyzzy")
    assert told.value.lines == [
        "option --flod not recognized. perhaps --flood",
        "option --xyzzy not recognized. --help lists them",
        "--port 99999: takes 0 to 65535, or an endpoint such as tcp:8888:interface=127.0.0.1",
        f"{file}:2: max-lime: there is no such option for a file. perhaps max-line",
        f"{file}:3: operator a b: takes a name that people may have",
        f"{file}:3: operator server: takes a name that people may have",
        f"{file}:8: max-line true: takes text in quotes or a number",
        f"{file}:10: motd {file.parent}/motd: takes a file of UTF-8 text",
        f"{file}:9: drain soon: takes seconds",
        "--grace -1: takes seconds, 0 for none",
    ]


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["--chek", "--drian=x", "word", "--max-line=3"], ["chek", "drian", "word", "max-line"]),
        (["-x", "value", "-yp", "1", "--drain=x"], ["x", "y", "drain"]),
        (["--max", "1", "--drain=x", "--motd"], ["max", "motd", "drain"]),
        (["--help=me", "--drain=x", "-p"], ["help", "p", "drain"]),
        (["--drain=x", "word", "--grace=x"], ["word", "grace", "drain"]),
    ],
)
def test_mistakes_on_the_command_line(arguments, lines):
    """One does not hide the next; what may be the value of no option is not taken for a word."""
    with pytest.raises(Mistakes) as told:
        Settings().parse(arguments, Path("/"))
    assert len(told.value.lines) == len(lines)
    for line, word in zip(told.value.lines, lines, strict=True):
        assert word in line.partition(". ")[0]


def test_a_check_tells_every_mistake(capfd, file):
    """What is found without starting anything is told with the rest, and where it stands."""
    file.write_text('port = [\n"gopher:70", "tcp:x"]\nstate = "/dev/null"\ndrain = "soon"')
    code, out, err = check(capfd, "--config", str(file), "--json=gopher:71")
    assert (code, out) == (1, "")
    lines = err.splitlines()
    # what is wrong with a file comes before what is wrong with what it says
    assert lines[0] == f"tcpchat: {file}:4: drain soon: takes seconds"
    file.write_text('port = [\n"gopher:70", "tcp:x"]\nstate = "/dev/null"')
    code, out, err = check(capfd, "--config", str(file), "--json=gopher:71", "--grace=x")
    assert (code, out) == (1, "")
    starts = [
        "--grace x: takes seconds",
        f"{file}:1: port gopher:70: ",
        f"{file}:1: port tcp:x: ",
        "--json gopher:71: ",
        f"{file}:3: state /dev/null: is no file of this chat. takes ",
    ]
    lines = err.splitlines()
    assert len(lines) == len(starts)
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(f"tcpchat: {start}")


# In which line


KEYS = st.text("ab-_1", min_size=1, max_size=3)
QUOTED = st.text(st.sampled_from("ab.#=[]{} \t"), max_size=4).flatmap(
    lambda text: st.sampled_from([f'"{text}"'.replace("\t", "\\t"), f"'{text}'"])
)
INLINE = st.sampled_from(["1", "true", '"x"', "'a = 1'", "[1, 2]", "{ a = 1 }", "2026-11-28"])
LINES = st.sampled_from(
    [
        '"""\na = 1\n[b]\n"""',
        "'''\n# \\\nb = [\n'''",
        '[\n  "a = 1", # ]\n  [\n1]\n]',
        '"""x"y""z\\\n\n  a = 2"""""',
    ]
)
BLANKS = st.sampled_from(["", "# a = 1\n", "\n", "  \t\n", "# [\n\n"])
ENDS = st.sampled_from(["\n", "  # b = 2\n", "\t\n"])


@st.composite
def files(draw):
    """Give a file of statements, and the line of each of its names, as it was put together."""
    text, found = "", {}
    names = draw(st.lists(st.one_of(KEYS, QUOTED), max_size=6))
    tables = draw(st.lists(st.one_of(KEYS, QUOTED), max_size=3))
    for name in names:
        text += draw(BLANKS)
        dotted = draw(st.sampled_from([name, f"{name}.b", f" {name} . 'c'"]))
        line = text.count("\n") + 1
        text += f"{dotted} = {draw(st.one_of(INLINE, LINES))}{draw(ENDS)}"
        found.setdefault(next(iter(tomllib.loads(f"{name} = 1"))), line)
    for name in tables:
        text += draw(BLANKS)
        line = text.count("\n") + 1
        text += draw(st.sampled_from([f"[{name}]", f"[[{name}]]", f" [ {name} . x ]"])) + draw(ENDS)
        text += f"{draw(BLANKS)}a = {draw(LINES)}\n"
        found.setdefault(next(iter(tomllib.loads(f"{name} = 1"))), line)
    try:
        tomllib.loads(text)
    except ValueError:  # a name twice
        assume(False)
    return text, found


@given(files())
def test_the_line_of_each_name(file_):
    """Whatever the statements are, and whatever stands in their values, the line is right."""
    text, found = file_
    assert config.lines(text) == found
    assert config.lines(text.replace("\n", "\r\n")) == found
    assert config.lines(text.removesuffix("\n")) == found


# Showing what is in force


def printed(capfd, *arguments):
    options = tap.Options()
    with pytest.raises(SystemExit) as left:
        options.parseOptions(["--print-config", *arguments])
    assert left.value.code == 0
    return capfd.readouterr().out


def test_what_is_printed(capfd):
    """Each option is there with its help; a default is a comment; and what wins is told."""
    text = printed(capfd, "--max-line=512", "--operator=ann", "--operator=bob")
    for name in Settings().settable():
        assert re.search(rf"\n\n# .+(\n# .+)*\n#?{name} =", text), name
    assert "\n# bytes in a line\nmax-line = 512\n" in text
    assert '\noperator = ["ann", "bob"]\n' in text
    assert '\n#port = ["tcp:8888"]\n' in text
    assert '\n#flood = "5/20"\n' in text
    assert "\n#motd =\n" in text
    assert PRECEDENCE in " ".join(text.replace("\n# ", " ").split())
    assert max(map(len, text.splitlines())) <= config.WIDTH
    assert tomllib.loads(text) == {"max-line": 512, "operator": ["ann", "bob"]}


def test_a_default_can_be_taken_from_what_is_printed(capfd):
    """Whoever takes away the mark of a default has it still."""
    text = re.sub("(?m)^#(?=[a-z-]+ = )", "", printed(capfd))
    taken = tomllib.loads(text)
    assert (taken["port"], taken["max-line"], taken["keep"]) == (["tcp:8888"], 1024, "30d")


@pytest.mark.parametrize(
    "argument",
    [
        "--auth=memory:ann:hunter2hunter2",
        "--redis=redis://ann:hunter2hunter2@localhost",
        "--redis=unix://:hunter2hunter2@/run/redis",
    ],
)
def test_no_password_is_printed(capfd, argument):
    """That there is something is told, and not what."""
    text = printed(capfd, argument)
    name = argument[2:].partition("=")[0]
    assert f"# {name} is set, and not shown: there may be a password in it\n#{name} =\n" in text
    assert "hunter2" not in text
    assert name not in tomllib.loads(text)


NUMBERS = st.integers(0, 10**9).map(str)
PORTS = st.one_of(
    st.integers(0, 65535).map(str),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9).map(
        "unix:{}".format
    ),
)
PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
SAID = st.fixed_dictionaries(
    {},
    optional={
        "port": st.lists(PORTS, max_size=3),
        "json": st.lists(PORTS, max_size=2),
        "proxy-from": st.lists(st.sampled_from(["10.0.0.0/8", "::1"]), max_size=2),
        "operator": st.lists(st.sampled_from(["ann", "007", "\u00e9va", "7"]), max_size=3),
        "web-origin": st.lists(st.just("https://example.org"), max_size=2),
        "state": PATHS,
        "ssh-host-key": PATHS,
        "max-line": st.integers(16, 65536).map(str),
        "flood": st.sampled_from(["off", "1/3", "0.5/1000"]),
        "max-connections": NUMBERS,
        "idle-timeout": st.sampled_from(["0", "0.5", "1e3", "10", "007"]),
        "keep": st.sampled_from(["90s", "10m", "30d"]),
        "keep-lines": st.integers(1, 10**12).map(str),
    },
)


@given(SAID)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_printed_gives_the_same_settings(tmp_path, said):
    """A file with that, anywhere, says what the command line said, whatever that was."""
    arguments = [
        f"--{name}={one}"
        for name, value in said.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    before, after = Settings(), Settings()
    before.parse(arguments, Path("/srv"))
    file = tmp_path / "printed.toml"
    file.write_text(before.written("All."), "utf-8")
    after.parse(["--config", str(file)], Path("/"))
    for name in before.settable():
        assert after[name] == before[name], name
    assert (after.limits, after.keep_seconds) == (before.limits, before.keep_seconds)


def test_what_files_say_is_printed_as_in_force(capfd, tmp_path):
    """A file and a command line make one, which stands alone: names of files are whole."""
    (tmp_path / "motd").write_text("hello")
    (tmp_path / "passwords").touch()
    first = tmp_path / "chat.toml"
    first.write_text('motd = "motd"\nmax-line = 99\nauth = "file:passwords"\ndrain = 7')
    text = printed(capfd, "--config", str(first), "--drain=9")
    assert tomllib.loads(text) == {
        "motd": f"{tmp_path}/motd",
        "max-line": 99,
        "auth": [f"file:{tmp_path}/passwords"],
        "drain": 9,
    }


def test_what_is_wrong_is_not_printed(capfd):
    """Nothing that could not start is written."""
    options = tap.Options()
    with pytest.raises(SystemExit) as left:
        options.parseOptions(["--print-config", "--drain=soon"])
    assert left.value.code == 1
    assert capfd.readouterr() == ("", "tcpchat: --drain soon: takes seconds\n")


# What is new


def test_what_is_new_is_told_in_words():
    """Only what is not what it was, with nothing that could act on a terminal."""
    old = {"drain": 5, "port": [], "auth": {"a:b": 1}, "motd": None, "flood": "5/20"}
    new = {"drain": "5", "port": ["tcp:1", "x"], "auth": {}, "motd": "\x1b", "flood": "off"}
    assert differences(old, new, old) == {
        "port": "none -> tcp:1 x",
        "auth": "a:b -> none",
        "motd": "none -> \ufffd",
        "flood": "5/20 -> off",
    }


# Checking


def check(capfd, *arguments, parent=None):
    """Give the exit code, and what is printed and complained of."""
    options = tap.Options()
    options.parent = parent
    with pytest.raises(SystemExit) as left:
        options.parseOptions(["--check", *arguments])
    out, err = capfd.readouterr()
    return left.value.code, out, err


WELL = (0, "tcpchat: all is well\n", "")


def test_all_is_well(capfd, file):
    """What could be started is said to be well, and nothing is made."""
    file.write_text('motd = "chat.toml"\nport = [8888, "unix:/run/chat"]\nstate = "state"')
    assert check(capfd, "--config", str(file)) == WELL
    assert check(capfd, "--state", ":memory:") == WELL
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--port=tcp:x", "--port tcp:x: "),
        ("--port=gopher:70", "--port gopher:70: "),
        ("--port=ssl:0:privateKey=/missing", "--port ssl:0:privateKey=/missing: "),
        ("--max-line=3", "--max-line 3: takes 16 to 65536 bytes"),
        ("--motd=/missing", "--motd /missing: takes a file of UTF-8 text"),
        ("--config=/missing", "--config /missing: there is no such file. takes a file of TOML"),
        ("--state=/missing/state", "--state /missing/state: No such file or directory. takes "),
        ("--state=/dev/null", "--state /dev/null: is no file of this chat. takes "),
        ("--state=/etc/passwd", "--state /etc/passwd: is no file of this chat. takes "),
    ],
)
def test_something_is_wrong(capfd, argument, words):
    """It is one line on standard error, and exit code 1."""
    code, out, err = check(capfd, argument)
    assert (code, out) == (1, "")
    assert err.startswith(f"tcpchat: {words}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", ["motd", "redis-file", "ssh-host-key", "config"])
def test_nobody_waits_for_a_pipe(capfd, tmp_path, option):
    """To open one may take for ever, and everybody in the chat would wait at a SIGHUP."""
    os.mkfifo(tmp_path / "pipe")
    code, out, err = check(capfd, f"--{option}={tmp_path}/pipe", "--ssh=0")
    assert (code, out) == (1, "")
    assert err.startswith(f"tcpchat: --{option} {tmp_path}/pipe: ")
    assert err.count("\n") == 1


def test_files_are_looked_for_where_twistd_would_be(capfd, tmp_path):
    """The file that is kept by default is in the run directory; which must be there."""
    (tmp_path / tap.STATE).write_text("not ours")
    here = Path.cwd()
    code, _, err = check(capfd, parent={"rundir": str(tmp_path)})
    assert (code, err.startswith("tcpchat: --state tcpchat.sqlite: is no file of this")) == (
        1,
        True,
    )
    assert Path.cwd() == here
    assert check(capfd, parent={"rundir": "/missing"}) == (
        1,
        "",
        "tcpchat: --rundir /missing: No such file or directory. takes a directory\n",
    )


def test_a_file_that_a_server_has_open_is_well(capfd, tmp_path):
    """So that a running server can be checked; what is there is neither changed nor locked."""
    database = Database(tmp_path / "state")
    database.open()
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    assert check(capfd, "--state", str(database.path)) == WELL
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before
    database.close()
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    assert check(capfd, "--state", str(database.path)) == WELL
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_a_file_of_a_newer_version_is_not_well(capfd, tmp_path):
    """It is told as it would be at the start."""
    database = Database(tmp_path / "state")
    database.open()
    database.close()
    with sqlite3.connect(database.path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    code, _, err = check(capfd, "--state", str(database.path))
    assert (code, "was written by a newer version of the chat (schema 999" in err) == (1, True)


def test_a_directory_that_cannot_be_written_is_not_well(capfd, tmp_path, monkeypatch):
    """Whoever may write everywhere is told nothing of it, so the question itself is replaced."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    code, _, err = check(capfd, "--state", str(tmp_path / "state"))
    assert code == 1
    assert err.startswith(f"tcpchat: --state {tmp_path / 'state'}: Permission denied. takes ")


# For real


def run(directory, *options):
    return subprocess.run(
        [twistd(), "-n", "tcpchat", *options],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.mark.real
def test_a_check_of_a_real_process(tmp_path):
    """``--check`` says on standard output that all is well, and leaves nothing behind."""
    (tmp_path / "chat.toml").write_text("port = 0\nmax-line = 512\n")
    done = run(tmp_path, "--config", "chat.toml", "--check")
    assert (done.returncode, done.stdout, done.stderr) == WELL
    (tmp_path / "chat.toml").write_text("max-lin = 512\n")
    done = run(tmp_path, "--config", "chat.toml", "--check")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"tcpchat: {tmp_path}/chat.toml:1: max-lin: there is no such option for a file. "
        "perhaps max-line\n"
    )
    assert [one.name for one in tmp_path.iterdir()] == ["chat.toml"]


@pytest.mark.real
def test_a_reload_of_a_real_process(tmp_path):
    """A good file is obeyed at once by those who are here; a broken one changes nothing."""
    file = tmp_path / "chat.toml"
    file.write_text("max-line = 40\n")
    with Chat(tmp_path, "--config", "chat.toml", ports=[ANYWHERE], warm=False) as chat:
        ann = chat.connect()
        ann.asks("x" * 41, "err: a line holds at most 40 bytes")
        file.write_text("max-line = 60\nstate = 'elsewhere'\n")
        chat.signal(signal.SIGHUP)
        chat.wait_for_log("reloaded: max-line 40 -> 60. after a restart: state\n")
        ann.asks("x" * 61, "err: a line holds at most 60 bytes")
        file.write_text("max-line = 80\ndrain = 'soon'\n")
        chat.signal(signal.SIGHUP)
        chat.wait_for_log(
            f"not reloaded, all stays as it was: {file}:2: drain soon: takes seconds\n"
        )
        ann.asks("x" * 61, "err: a line holds at most 60 bytes")
        assert not (tmp_path / "elsewhere").exists()
        chat.signal(signal.SIGTERM)
        assert chat.exit_code() == 0
        assert "Traceback" not in chat.log()
