"""Why a request is not accepted. The middleware answers these; any other exception is a fault of the service (500)."""


class IdentityError(Exception):
    """Base of the errors below. `detail` never holds a header's value."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class IdentityRefused(IdentityError):
    """The request has no valid identity: 401."""


class IdentityUnavailable(IdentityError):
    """The identity cannot be checked at the moment: 503."""


class BodyTooLarge(IdentityError):
    """The body exceeds what the middleware buffers to check its digest: 413."""

    def __init__(self) -> None:
        super().__init__("payload_too_large")


class IdentityNotAllowed(IdentityError):
    """The identity is valid, but this handler does not accept it: 403. `challenge` is a `www-authenticate` value."""

    def __init__(self, reason: str, challenge: str = "") -> None:
        super().__init__(reason)
        self.challenge = challenge
