"""The rules of the chat: no Twisted, no sockets, no clock and no chance of their own."""
