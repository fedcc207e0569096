"""What goes wrong on the way, in words, and whether it may pass by itself."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Collection

import httpcore
import httpx

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.egress.decoding import pieces
from modelyard.methods.data.egress.limits import Limits, retry_after
from modelyard.methods.data.egress.reply import excerpt, masked

FAULTS = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError)
PASSING = (408, 425, 429)
KEPT_EXCERPT = 4 << 10


class Passing(Exception):
    """A fault that may pass: the attempt may be repeated.

    Attributes:
        error: what to raise if it does not.
        after: seconds the server asked to wait, or None.
    """

    def __init__(self, error: InputError, after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


def of_connection(
    error: Exception, shown: str, limits: Limits, left: float | None, secrets: Collection[str]
) -> Passing | InputError:
    """What a connection's fault comes to.

    Args:
        error: one of FAULTS.
        shown: the address.
        left: seconds that were left to the whole request, or None.
    """
    said = masked(str(error), secrets)
    if isinstance(error, httpcore.ConnectError) and _is_certificate(error):
        remedy = t("set SSL_CERT_FILE, if the server has a certificate of your own authority")
        return InputError(t("its certificate is not accepted: {reason}", reason=said), where=shown, remedy=remedy)
    return Passing(_connection_error(error, shown, limits, left, said))


def _connection_error(error: Exception, shown: str, limits: Limits, left: float | None, said: str) -> InputError:
    if left is not None and left < 0.01:
        found = t("not answered within {n:g} seconds", n=limits.whole_s)
        return InputError(found, where=shown, remedy=t("ask for smaller pages, or try again later"))
    if isinstance(error, httpcore.ConnectTimeout):
        return InputError(t("no connection within {n:g} seconds", n=limits.connect_s), where=shown)
    if isinstance(error, httpcore.TimeoutException):
        return InputError(t("the server says nothing for {n:g} seconds", n=limits.read_s), where=shown)
    if isinstance(error, httpcore.ConnectError):
        remedy = t("check the address, and that the server runs")
        return InputError(t("no connection: {reason}", reason=said), where=shown, remedy=remedy)
    return InputError(t("the connection broke: {reason}", reason=said or type(error).__name__), where=shown)


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def of_status(response: httpx.Response, shown: str, secrets: Collection[str]) -> Passing | InputError:
    """What a status that is no success comes to, with the beginning of what the server says."""
    status = response.status_code
    said = _beginning(response, secrets)
    reason = masked(response.reason_phrase, secrets)
    found = t("the server answers {status}", status=f"{status} {reason}".strip())
    remedies = {
        401: t("check the credentials: their header or parameter, and the secret's value"),
        403: t("the credentials do not allow this, or the server refuses programs"),
        404: t("check the address"),
    }
    error = InputError(f"{found}: {said}" if said else found, where=shown, remedy=remedies.get(status, ""))
    if status not in PASSING and status < 500:
        return error
    return Passing(error, retry_after(response.headers.get("retry-after", ""), datetime.datetime.now(datetime.UTC)))


def _beginning(response: httpx.Response, secrets: Collection[str]) -> str:
    body = bytearray()
    try:
        for piece in pieces(response, ""):
            body += piece
            if len(body) >= KEPT_EXCERPT:
                break
    except (InputError, *FAULTS):
        pass  # the status says enough
    return excerpt(bytes(body), secrets)
