"""The link to a Redis server."""

from twisted_chat.link.connection import LinkError, RedisError
from twisted_chat.link.link import Argument, Link, Script
from twisted_chat.link.target import Target

__all__ = ["Argument", "Link", "LinkError", "RedisError", "Script", "Target"]
