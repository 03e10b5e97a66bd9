"""The rules of a merchant's endpoints."""

from typing import assert_never

import msgspec

from cells.kernel.decider import Decider
from cells.kernel.errors import Rejected
from server.webhooks.model import (
    KIND,
    MAX_ENDPOINTS,
    MOST_ASKED_KEPT,
    REGISTRY,
    Add,
    Command,
    Endpoint,
    EndpointAdded,
    EndpointPaused,
    EndpointRemoved,
    EndpointResumed,
    Event,
    Merchant,
    Pause,
    Redeliver,
    RedeliveryAsked,
    Remove,
    Resume,
    Rotate,
    SecretRotated,
)


def decide(state: Merchant, command: Command, now: int) -> list[Event]:  # noqa: PLR0911 - one for each command
    """Decide a command. An endpoint that was removed is removed for good; removing it again changes nothing."""
    match command:
        case Add():
            return _add(state, command, now)
        case Rotate(endpoint_id, generation):
            newest = _known(state, endpoint_id).generation
            if generation is not None and generation != newest:
                return []
            return [SecretRotated(endpoint_id, newest + 1, now)]
        case Pause(endpoint_id, reason):
            return [] if _known(state, endpoint_id).paused else [EndpointPaused(endpoint_id, reason, now)]
        case Resume(endpoint_id):
            return [EndpointResumed(endpoint_id, now)] if _known(state, endpoint_id).paused else []
        case Remove(endpoint_id, reason):
            if endpoint_id in state.removed:
                return []
            return [EndpointRemoved(_known(state, endpoint_id).id, reason, now)]
        case Redeliver(endpoint_id, event_ids):
            return [RedeliveryAsked(_known(state, endpoint_id).id, event_ids, now)]
        case _:
            assert_never(command)


def _known(state: Merchant, endpoint_id: str) -> Endpoint:
    found = state.endpoints.get(endpoint_id)
    if found is None:
        raise Rejected("not_found", "There is no such webhook, or it is not yours.")
    return found


def _add(state: Merchant, command: Add, now: int) -> list[Event]:
    if command.endpoint_id in state.endpoints or command.endpoint_id in state.removed:
        return []
    if len(state.endpoints) >= MAX_ENDPOINTS:
        raise Rejected("limit_reached", f"A merchant has at most {MAX_ENDPOINTS} webhooks; delete one first.")
    return [EndpointAdded(command.endpoint_id, command.url, command.types, command.description, now)]


def evolve(state: Merchant, event: Event) -> Merchant:
    """Fold one event."""
    match event:
        case EndpointAdded(endpoint_id, url, types, description, at):
            return _with(state, Endpoint(endpoint_id, url, types, description, at))
        case SecretRotated(endpoint_id, generation, at):
            found = state.endpoints[endpoint_id]
            return _with(state, msgspec.structs.replace(found, generation=generation, rotated_at=at))
        case EndpointPaused(endpoint_id, reason):
            return _with(state, msgspec.structs.replace(state.endpoints[endpoint_id], paused=reason))
        case EndpointResumed(endpoint_id):
            return _with(state, msgspec.structs.replace(state.endpoints[endpoint_id], paused=""))
        case EndpointRemoved(endpoint_id):
            left = {key: value for key, value in state.endpoints.items() if key != endpoint_id}
            return Merchant(left, state.removed | {endpoint_id})
        case RedeliveryAsked():
            return _asked(state, event)
        case _:
            assert_never(event)


def _asked(state: Merchant, event: RedeliveryAsked) -> Merchant:
    found = state.endpoints[event.endpoint_id]
    if not event.event_ids:
        return _with(state, msgspec.structs.replace(found, redeliver_all=event.at, redeliver={}))
    asked = {**found.redeliver, **dict.fromkeys(event.event_ids, event.at)}
    newest = sorted(asked.items(), key=lambda pair: pair[1])[-MOST_ASKED_KEPT:]
    return _with(state, msgspec.structs.replace(found, redeliver=dict(newest)))


def _with(state: Merchant, endpoint: Endpoint) -> Merchant:
    return Merchant({**state.endpoints, endpoint.id: endpoint}, state.removed)


DECIDER: Decider[Merchant, Command] = Decider(KIND, Merchant, decide, evolve, REGISTRY)
