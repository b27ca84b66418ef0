"""Makes places, all in one go: run by labgrid's Python with the coordinator's address, JSON on its input.

    {"desk1": {"match": "exporter1/desk1/*", "tags": {"site": "here"}}}

`labgrid-client` can do the same, half a second a step.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from labgrid.remote.client import ClientSession, start_session
from labgrid.remote.generated import labgrid_coordinator_pb2 as messages


async def make(session: ClientSession, name: str, place: dict[str, Any]) -> None:
    await session.stub.AddPlace(messages.AddPlaceRequest(name=name))
    await session.stub.AddPlaceMatch(messages.AddPlaceMatchRequest(placename=name, pattern=place["match"]))
    await session.stub.SetPlaceTags(messages.SetPlaceTagsRequest(placename=name, tags=place["tags"]))


async def make_all(session: ClientSession, places: dict[str, Any]) -> None:
    await asyncio.gather(*(make(session, name, place) for name, place in places.items()))
    await session.sync_with_coordinator()


session = start_session(sys.argv[1])
session.loop.run_until_complete(make_all(session, json.load(sys.stdin)))
