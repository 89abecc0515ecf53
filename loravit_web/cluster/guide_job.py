"""The process of `guide.Guide`: ``python -m loravit_web.cluster.guide_job FD``, which writes to that pipe.

Each message is a JSON document: where the replicas listen, every `TELL_SECONDS`, or why there are none.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from loravit_web.cluster import known
from loravit_web.cluster.channel import Address, ChannelLost
from loravit_web.cluster.cluster import connected
from loravit_web.cluster.serving import NoReplicas, finder, has_replicas
from loravit_web.errors import LoraVitError

TELL_SECONDS = 0.5
CHECKS = 6
"""Number of messages, of which one follows a look whether the replicas were stopped."""


def message(addresses: Mapping[str, Address]) -> dict[str, Any]:
    """Return the message with addresses by replica."""
    return {"replicas": {name: [one.host, one.port, one.key.hex()] for name, one in addresses.items()}}


def followed(
    addresses: Mapping[str, Address], names: frozenset[str], find: Callable[[str], Address]
) -> dict[str, Address]:
    """Return the addresses of the named replicas; those that do not tell theirs are asked the next time."""
    kept = {name: address for name, address in addresses.items() if name in names}
    for name in names - kept.keys():
        try:
            kept[name] = find(name)
        except ChannelLost:
            continue
    return kept


def tell(tells: Connection) -> None:
    """Tell where the replicas are until they are stopped or nobody listens."""
    with connected(os.environ.get("RAY_ADDRESS") or "auto"):
        find = finder()
        with suppress(ChannelLost):
            find("")  # the router learns of all replicas at its first request
        addresses: dict[str, Address] = {}
        while has_replicas():
            for _ in range(CHECKS):
                addresses = followed(addresses, known.names(), find)
                tells.send_bytes(json.dumps(message(addresses)).encode())
                time.sleep(TELL_SECONDS)
    raise NoReplicas


def main() -> None:
    """Run the process."""
    with (
        Connection(int(sys.argv[1]), readable=False) as tells,
        suppress(BrokenPipeError),
    ):  # the app has ended
        try:
            tell(tells)
        except LoraVitError as error:
            tells.send_bytes(json.dumps({"problem": str(error)}).encode())


if __name__ == "__main__":
    main()
