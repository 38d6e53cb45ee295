"""The page in a real browser, and people at telnet in the same room."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from doors import make_certificate
from real import ANYWHERE, Chat, free_port, need, need_module, wait_until

pytestmark = pytest.mark.real

ARGUMENTS = (
    "headless=new",
    "no-sandbox",
    "disable-dev-shm-usage",
    "disable-gpu",
    "ignore-certificate-errors",
)
WIDE, NARROW = (1000, 700), (500, 800)
PICTURES = os.environ.get("TCPCHAT_PICTURES")
"""A folder in which pictures of the page are left, if one is named."""


class Browser:
    """A Chromium without a screen, that shows the page."""

    def __init__(self, url: str, size: tuple[int, int] = WIDE, *, dark: bool = False) -> None:
        webdriver = need_module("selenium.webdriver")
        options = webdriver.ChromeOptions()
        options.binary_location = need("chromium")
        for argument in (
            "headless=new",
            "no-sandbox",
            "disable-dev-shm-usage",
            "disable-gpu",
            "ignore-certificate-errors",
        ):
            options.add_argument(f"--{argument}")
        options.add_argument("--window-size={},{}".format(*size))
        if dark:
            options.add_argument("--blink-settings=preferredColorScheme=0")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(need("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.get(url)
        self.waits_for("welcome. you are")

    def text(self, id_: str) -> str:
        return self.driver.find_element("id", id_).text

    def waits_for(self, text: str, where: str = "log") -> None:
        """Wait until something is shown."""
        wait_until(lambda: text in self.text(where), f"{text!r} in {where}")

    def enters(self, name: str, room: str = "tea") -> "Browser":
        """Fill in the form with which one begins."""
        self.driver.find_element("id", "name").send_keys(name)
        self.driver.find_element("id", "place").send_keys(room)
        self.driver.find_element("css selector", "#start button").click()
        self.waits_for(f"welcome to {room}")
        return self

    def says(self, *lines: str) -> None:
        for line in lines:
            self.driver.find_element("id", "line").send_keys(line, "\n")

    def runs(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def lines(self) -> list[str]:
        """Give what is in the conversation, without the times."""
        return self.runs(
            "return [...document.querySelectorAll('#log p')].map(line => "
            "[...line.children].filter(one => one.tagName != 'TIME').map(one => "
            "one.textContent).join(' '))"
        )

    def wrong(self) -> list[str]:
        """Give what the browser complains of."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE" and "WebSocket" not in entry["message"]
        ]

    def picture(self, name: str) -> None:
        if PICTURES:
            self.driver.save_screenshot(str(Path(PICTURES) / f"{name}.png"))


class Site:
    """A chat with a page, and browsers that show it."""

    def __init__(self, directory: Path, *options: str, web: str = ANYWHERE) -> None:
        need("chromium"), need("chromedriver")
        self.chat = Chat(directory, "--flood", "off", "--web", web, *options, warm=False)
        self.chat.wait_for_log("browsers reach it at")
        self.port = int(self.chat.log().rpartition("http://localhost:")[2].split("/")[0])
        self.browsers: list[Browser] = []

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *error: Any) -> None:
        for browser in self.browsers:
            browser.driver.quit()
        self.chat.__exit__(*error)

    def browser(self, *how: Any, url: str = "", **more: Any) -> Browser:
        """Have a browser show the page.

        :param url: where it is; at the chat itself, if left out.
        """
        url = url or f"http://127.0.0.1:{self.port}/"
        self.browsers.append(Browser(url, *how, **more))
        return self.browsers[-1]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as site:
        yield site


def test_two_browsers_and_telnet(site):
    """They talk in one room; rooms and people are shown, and what is private to whom it is for."""
    ann = site.chat.enter("ann")
    bob, cyd = site.browser().enters("bob"), site.browser().enters("cyd")
    ann.expect("> bob joined the room", "> cyd joined the room")
    ann.say("hello", "/me waves", "/tell bob psst", "/topic leaves")
    bob.waits_for("set the topic: leaves")
    assert bob.lines()[-5:] == [
        "cyd joined the room",
        "ann hello",
        "ann waves",
        "ann → you psst",
        "ann set the topic: leaves",
    ]
    assert "psst" not in cyd.text("log")
    bob.says("good evening")
    cyd.waits_for("good evening")
    ann.expect("> [you -> bob] psst", "> ann set the topic: leaves", "> bob: good evening")
    assert (bob.text("room"), bob.text("topic"), bob.text("me")) == ("tea", "leaves", "you are bob")
    for name in ("ann", "bob", "cyd"):
        bob.waits_for(name, "people")
    bob.waits_for("tea", "rooms")
    cyd.says("/nick cydney", "/leave")
    bob.waits_for("cydney has left the room")
    assert "cyd" not in bob.text("people")
    assert bob.wrong() == cyd.wrong() == []


def test_what_a_plugin_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A roll is shown on the page, to whoever rolled as well."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent / "examples" / "dice"))
    with Site(tmp_path) as site:
        bob = site.browser().enters("bob")
        bob.says("/roll 1d2")
        bob.waits_for("bob rolled 1d2: ")
        assert bob.lines()[-1] in ("bob rolled 1d2: 1", "bob rolled 1d2: 2")
        assert bob.wrong() == []


def test_history_and_completion(site):
    """The arrows bring back what was typed, and Tab completes commands and names."""
    site.chat.enter("annabel")
    bob = site.browser().enters("bob")
    bob.says("one", "two")
    line = bob.driver.find_element("id", "line")
    arrow_up, arrow_down, tab = "\ue013", "\ue015", "\ue004"

    def shown() -> str:
        return line.get_property("value")

    line.send_keys(arrow_up, arrow_up)
    assert shown() == "one"
    line.send_keys(arrow_down, arrow_down)
    assert shown() == ""
    bob.waits_for("annabel", "people")
    line.send_keys("/hist", tab)
    assert shown() == "/history "
    line.clear()
    line.send_keys("ann", tab)
    assert shown() == "annabel: "
    line.clear()
    line.send_keys("/tell ann", tab, "hi\n")
    bob.waits_for("you → annabel")


def test_a_password_is_not_shown(site):
    """While one is asked for, the line hides what is typed, and does not keep it."""
    bob = site.browser().enters("bob")
    bob.says("/register")
    line = bob.driver.find_element("id", "line")
    wait_until(lambda: line.get_attribute("type") == "password", "a line that hides")
    bob.says("correct horse")
    bob.waits_for("bob is yours now")
    wait_until(lambda: line.get_attribute("type") == "text", "a line that shows")
    line.send_keys("\ue013")
    assert line.get_property("value") == "/register"


def test_text_is_text(site):
    """Markup, scripts, controls, other ways of writing and long words break nothing."""
    ann = site.chat.enter("ann")
    bob = site.browser(NARROW).enters("bob")
    ann.expect("> bob joined the room")
    hostile = [
        "<script>document.title='broken'</script>",
        "<img src=x onerror=\"document.title='broken'\"><b>bold</b>&amp;",
        "javascript:alert(1) https://example.org/?a=<b>&c='d'",
        "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd left again",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f375",
        "W" * 900,
    ]
    for text in (*hostile, "\x1b[31mred\x07"):
        ann.say(text)
    bob.waits_for("\ufffd[31mred")
    assert [line.removeprefix("ann ") for line in bob.lines()[-7:-1]] == hostile
    assert bob.runs("return document.querySelectorAll('#log script, #log img, #log b').length") == 0
    assert bob.driver.title == "tea"
    links = bob.runs("return [...document.querySelectorAll('#log a')].map(a => [a.href, a.rel])")
    assert links == [["https://example.org/?a=", "noopener noreferrer nofollow"]]
    assert bob.runs("return document.documentElement.scrollWidth") <= bob.runs("return innerWidth")
    assert bob.wrong() == []


class Cable:
    """What lies between a browser and the chat, and can be cut."""

    def __init__(self, port: int) -> None:
        """
        :param port: of the chat.
        """
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._ends: list[socket.socket] = []
        self.is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self.is_cut = True
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        self.cut()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        for end in (self._server, *self._ends):
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._server.accept()
                if self.is_cut:
                    one.close()
                    continue
                other = socket.create_connection(("127.0.0.1", self._to))
                self._ends += [one, other]
                for way in ((one, other), (other, one)):
                    threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)


def test_cut_off_and_back(site):
    """Who was cut off comes back alone, and sees what was said meanwhile, once."""
    ann = site.chat.enter("ann")
    with closing(Cable(site.port)) as cable:
        bob = site.browser(url=f"http://127.0.0.1:{cable.port}/").enters("bob")
        ann.expect("> bob joined the room")
        ann.say("before")
        bob.waits_for("before")
        cable.cut()
        bob.waits_for("the connection is lost", "state")
        ann.say("meanwhile")
        is_gone = False
        while not is_gone:
            ann.say("/who")
            is_gone = ann.read().startswith("> here: ann, bob (gone")
        cable.mend()
        bob.waits_for("meanwhile")
        ann.say("after")
        bob.waits_for("after")
        said = [line for line in bob.lines() if line.startswith("ann ")]
        assert said == ["ann before", "ann meanwhile", "ann after"]
        wait_until(lambda: bob.text("state") == "", "a connection that is told to be well")


def renewed(chat: Chat) -> None:
    """Have the code replaced, and another process go on."""
    went_on = chat.log().count("went on with")
    chat.signal(signal.SIGUSR2)
    chat.wait_for_log("went on with", went_on + 1)


def test_new_code(site):
    """Pages come back by themselves to where they were, and telnet does not notice."""
    ann = site.chat.enter("ann")
    bob, cyd = site.browser().enters("bob"), site.browser().enters("cyd")
    ann.expect("> bob joined the room", "> cyd joined the room")
    renewed(site.chat)
    for browser in (bob, cyd):
        browser.waits_for("welcome back")
    bob.says("still here")
    cyd.waits_for("still here")
    ann.expect("> bob: still here")


def test_who_is_put_out(tmp_path):
    """A kicked page stays out; one that is taken over says so, and offers a way back."""
    with Site(tmp_path) as site:
        root = site.chat.connect(greeted=False)
        root.read()
        root.say("/nick root", "/register correct.horse", "/join den")
        bob = site.browser().enters("bob", "den")
        root.say("/kick bob spam")
        bob.waits_for("you were kicked out of den by root: spam")
        assert bob.text("room") == "chat"
        assert "bob" not in bob.text("people")
        bob.says("/register correct.horse")
        bob.waits_for("bob is yours now")
        again = site.chat.connect(greeted=False)
        again.say("/login bob correct.horse")
        bob.waits_for("you have logged in elsewhere", "state")
        button = bob.driver.find_element("id", "again")
        assert button.is_displayed()
        button.click()
        wait_until(lambda: bob.text("state") == "", "another connection")


def test_a_lost_server(tmp_path):
    """The page says so, goes on trying, and finds name and room again after a crash."""
    with Site(tmp_path, "--state", "chat.sqlite") as site:
        bob = site.browser().enters("bob")
        site.chat.signal(signal.SIGKILL)
        site.chat.exit_code()
        bob.waits_for("the connection is lost. trying again", "state")
        web = f"tcp:{site.port}:interface=127.0.0.1"
        with Chat(tmp_path, "--web", web, "--state", "chat.sqlite", warm=False) as chat:
            wait_until(lambda: bob.text("state") == "", "a connection")
            bob.waits_for("all right, I will call you bob")
            ann = chat.connect(greeted=False)
            ann.read()
            ann.say("/join tea")
            while "bob" not in ann.read():
                pass


def test_under_a_path_with_tls(tmp_path):
    """The page works behind a proxy, as the documentation has it, and with its true address."""
    make_certificate(tmp_path)
    both = (tmp_path / "cert.pem").read_bytes() + (tmp_path / "key.pem").read_bytes()
    (tmp_path / "chat.pem").write_bytes(both)
    text = (Path(__file__).parent.parent / "docs" / "encryption.rst").read_text("utf-8")
    configuration = text.partition("# haproxy-web.cfg")[2].partition("\nwith ")[0]
    configuration = "\n".join(line[4:] for line in configuration.split("\n"))
    port = free_port()
    with Site(tmp_path, "--proxy-from", "127.0.0.1", web="tcp:0:interface=127.0.0.2") as site:
        for old, new in (
            (":443 ", f"127.0.0.1:{port} "),
            ("/etc/haproxy/chat.pem", f"{tmp_path}/chat.pem"),
            ("127.0.0.1:8080", f"127.0.0.2:{site.port}"),
        ):
            assert old in configuration
            configuration = configuration.replace(old, new)
        (tmp_path / "haproxy.cfg").write_text(configuration)
        with subprocess.Popen([need("haproxy"), "-f", str(tmp_path / "haproxy.cfg")]) as front:
            try:
                bob = site.browser(url=f"https://127.0.0.1:{port}/chat/").enters("bob")
                bob.says("hello")
                bob.waits_for("hello")
                assert bob.wrong() == []
                assert "is_encrypted=True" in site.chat.log()
            finally:
                front.terminate()


def test_unread(site):
    """What is said while nobody looks is counted in the title, and marked."""
    ann = site.chat.enter("ann")
    bob = site.browser().enters("bob")
    ann.expect("> bob joined the room")
    bob.runs(
        "Object.defineProperty(document, 'hidden', {configurable: true, get: () => window.away});"
        "window.away = true"
    )
    ann.say("one", "two")
    wait_until(lambda: bob.driver.title == "(2) tea", "a count in the title")
    assert bob.lines()[-3:] == ["", "ann one", "ann two"]
    assert bob.runs("return document.querySelector('#log .new').textContent") == "new"
    bob.runs("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    assert bob.driver.title == "tea"


def test_what_is_read_out(site):
    """Lines politely, private ones at once, and who comes and goes only if asked for."""
    ann = site.chat.enter("ann")
    bob = site.browser().enters("bob")
    ann.say("hello")
    bob.waits_for("hello")
    assert bob.runs("return polite.textContent").strip() == "ann: hello"
    ann.say("/tell bob psst")
    bob.waits_for("psst")
    assert bob.runs("return assertive.textContent").strip() == "ann tells you: psst"
    cyd = site.chat.enter("cyd")
    bob.waits_for("cyd joined")
    assert bob.runs("return polite.textContent").strip() == "ann: hello"
    bob.driver.find_element("id", "announce").click()
    cyd.say("/quit")
    bob.waits_for("cyd has left")
    assert bob.runs("return polite.textContent").strip() == "cyd has left the room"
    assert bob.runs("return document.activeElement.id") == "announce"  # where we have put it


AXE = """
const done = arguments[arguments.length - 1];
axe.run(document).then(found => done(found.violations.map(
    one => [one.impact, one.id, one.nodes.map(node => node.target).join(' ')])));
"""


@pytest.mark.long
@pytest.mark.parametrize("look", ["light", "dark", "narrow"])
def test_nothing_keeps_anybody_out(site, look):
    """Axe finds nothing wrong for those who see, hear or move otherwise; pictures are taken."""
    script = axe()
    ann = site.chat.enter("ann")
    bob = site.browser(NARROW if look == "narrow" else WIDE, dark=look == "dark")
    bob.picture(f"{look}-start")
    violations = checked(bob, script)
    bob.enters("bob")
    ann.expect("> bob joined the room")
    ann.say("/topic leaves", "hello bob, see https://example.org/tea", "/me pours two cups")
    ann.say("/tell bob is there milk?")
    bob.says("good evening", "/foo")
    bob.waits_for("unknown command")
    bob.picture(look)
    violations += checked(bob, script)
    if look == "narrow":
        bob.driver.find_element("css selector", "summary").click()
        bob.picture("narrow-open")
        violations += checked(bob, script)
    assert violations == []


def axe() -> str:
    """Give the script of axe-core, which npm has installed."""
    where = os.environ.get("TCPCHAT_AXE", "node_modules/axe-core/axe.min.js")
    if not Path(where).exists():
        if os.environ.get("TCPCHAT_NEED") == "all":
            pytest.fail("needs axe-core")
        pytest.skip("needs axe-core")
    return Path(where).read_text("utf-8")


def checked(browser: Browser, script: str) -> list[list[str]]:
    browser.driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    browser.runs(script)
    return browser.driver.execute_async_script(AXE)
