"""HTTP requests as all pages here take them."""

from twisted.web.server import Request


class Bodiless(Request):
    """A request that has no body: nothing here takes one, and it could be endless."""

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)
        if length != 0:
            self.channel.forceAbortClient()
