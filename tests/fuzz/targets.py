"""All targets, by name: functions that take any bytes, and fail if something does not hold."""

from collections.abc import Callable, Mapping

from fuzz import doorways, people, wires

Target = Callable[[bytes], None]

TARGETS: Mapping[str, Target] = {
    "telnet": wires.telnet,
    "keys": wires.keys,
    "terminal": wires.terminal,
    "proxy": wires.proxy_header,
    "json": wires.json_message,
    "session": people.session,
    "telnet-door": doorways.telnet_door,
    "json-door": doorways.json_door,
    "proxy-door": doorways.proxy_door,
    "page-door": doorways.page_door,
    "ssh-door": doorways.ssh_door,
}
