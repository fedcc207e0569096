"""The one client for outgoing HTTP: every request a data source makes goes through `Egress`.

    with Egress(Limits(requests_per_second=2), secrets=[token]) as egress:
        page = egress.get_json("https://example.org/api", params={"page": 1}, headers={"Authorization": token})
        egress.stream_to(folder / "rows.parquet", "https://example.org/rows.parquet")

What may be reached is decided by address, not by name, and on the address that is connected to (`addresses.py`): a name
that resolves anew between check and use, a redirect, an IPv6 or decimal spelling change nothing. Credentials never
appear in an error and never follow a redirect to another host.
"""

from modelyard.methods.data.egress.cache import HttpCache
from modelyard.methods.data.egress.client import Egress
from modelyard.methods.data.egress.limits import Limits
from modelyard.methods.data.egress.reply import Download, Reply
from modelyard.methods.data.egress.waiting import StillBusy, Telling, Waiting

__all__ = ["Download", "Egress", "HttpCache", "Limits", "Reply", "StillBusy", "Telling", "Waiting"]
