"""The OpenAPI document is served without any outside address, and every answer in it is true, on a real cell."""

import json
import os
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, CheckFunction, load_all_checks
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.schemas import OpenApiSchema

from server.web.openapi import METHODS
from tests.integration.routes import routes_of
from tests.integration.shop import OPS_BODIES, PRICE, PRODUCT, STEPS, WEBHOOK, Shop, browser, opened

DOCUMENT = "/schema/openapi.json"
ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//[A-Za-z0-9]")
FUZZED = 3
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)


Case = schemathesis.Case[Any]


@pytest.fixture(scope="module")
def shop(cell) -> Iterator[Shop]:
    with opened(cell) as shop:
        yield shop


@pytest.fixture(scope="module")
def document(shop) -> dict[str, Any]:
    found: dict[str, Any] = shop.client.get(DOCUMENT).json()
    return found


@pytest.fixture(scope="module")
def schema(cell, document) -> OpenApiSchema:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=cell.api)
    # Credentials are the inquiry's to give; that they are needed is the business of the matrix of roles.
    schema.config.generation.update(with_security_parameters=False)
    return schema


@pytest.fixture(scope="module")
def checks() -> list[CheckFunction]:
    load_all_checks()
    return cast("list[CheckFunction]", [CHECKS.get_one(name) for name in CHECKED])


def test_no_page_names_an_outside_address(cell, shop):
    own = {cell.config.public_api, cell.config.public_realtime.removesuffix("/rt")}
    for path in (DOCUMENT, "/schema", "/schema/", "/schema/asyncapi.json"):
        answer = shop.client.get(path)
        text = answer.text
        for address in own:
            text = text.replace(address, "")

        assert answer.status_code == 200, path
        assert "json" in answer.headers["content-type"], path
        # A pattern says which addresses a product's images may have; nothing is loaded from it.
        assert not ADDRESS.search(_without_patterns(text)), path


def _without_patterns(text: str) -> str:
    def strip(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: strip(value) for key, value in node.items() if key != "pattern"}
        return [strip(item) for item in node] if isinstance(node, list) else node

    return json.dumps(strip(json.loads(text)))


@pytest.mark.parametrize("name", ("openapi.yaml", "swagger", "redoc", "elements", "rapidoc", "x/y"))
def test_there_are_no_other_pages(shop, name):
    answer = shop.client.get(f"/schema/{name}")

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


# --- every route is in the document, and every documented operation succeeds as described ------------------------


async def test_every_route_is_documented_and_nothing_else(cell, document):
    documented = {
        (method, path) for path, item in document["paths"].items() for method in METHODS if method in item
    }

    assert documented == await routes_of(cell)


def successes(shop: Shop) -> dict[str, tuple[str, dict[str, str], dict[str, Any], Any, int]]:
    """By operation: who succeeds, with which path, query and body, and with which status."""
    session = shop.register("visitor", "buyer")
    login = {"email": session["user"]["email"], "password": "correct horse battery"}
    sale, product = {"sale_id": shop.sale}, {"product_id": shop.product}
    talk, webhook = {"conversation_id": shop.conversation}, {"webhook_id": shop.webhook}
    fresh = {
        "email": f"{os.urandom(6).hex()}@example.com",
        "password": "correct horse battery",
        "display_name": "New",
        "role": "buyer",
    }
    new_sale = {
        "product_id": shop.product,
        "title": "Lamps",
        "price": PRICE,
        "stock": 5,
        "per_buyer_limit": 2,
        "hold_seconds": 60,
    }
    page = {"limit": 1, "after": shop.order["position"]}
    spare = shop.make("buyer", "/push/subscriptions", browser())["id"]
    say, moderation = {"text": "Hello."}, {"action": "unlock"}
    return {
        "live": ("nobody", {}, {}, None, 200),
        "ready": ("nobody", {}, {}, None, 200),
        "metrics": ("nobody", {}, {}, None, 200),
        "jwks": ("nobody", {}, {}, None, 200),
        "route": ("nobody", {}, {"id": shop.sale}, None, 200),
        "register": ("nobody", {}, {}, fresh, 201),
        "login": ("nobody", {}, {}, login, 200),
        "refresh": ("nobody", {}, {}, {"refresh_token": session["refresh_token"]}, 200),
        "me": ("buyer", {}, {}, None, 200),
        "logout": ("visitor", {}, {}, None, 200),
        "listProducts": ("nobody", {}, {**page, "query": "lamp"}, None, 200),
        "createProduct": ("merchant", {}, {}, PRODUCT, 201),
        "getProduct": ("nobody", product, {}, None, 200),
        "changeProduct": ("merchant", product, {}, {"stock": 7}, 200),
        "listSales": ("nobody", {}, {**page, "state": "open"}, None, 200),
        "createSale": ("merchant", {}, {}, new_sale, 201),
        "getSale": ("nobody", sale, {}, None, 200),
        "auditSale": ("merchant", sale, {}, None, 200),
        **{
            step: ("merchant", {"sale_id": shop.new_sale(state)}, {}, None, 200)
            for step, state in STEPS.items()
            if not step.startswith("ops")
        },
        "holdUnits": ("buyer", sale, {}, {"quantity": 2}, 201),
        "getHold": ("buyer", {"hold_id": shop.new_hold()}, {}, None, 200),
        "releaseHold": ("buyer", {"hold_id": shop.new_hold()}, {}, None, 204),
        "confirmHold": ("buyer", {"hold_id": shop.new_hold()}, {}, {"payment_method": "pm_ok"}, 201),
        "listOrders": ("buyer", {}, page, None, 200),
        "getOrder": ("merchant", {"order_id": shop.order["id"]}, {}, None, 200),
        "listConversations": ("buyer", {}, {}, None, 200),
        "openConversation": ("buyer", {}, {}, {"order_id": shop.order["id"], "text": "Hm."}, 201),
        "listMessages": ("merchant", talk, {}, None, 200),
        "postMessage": ("merchant", talk, {}, say, 201),
        "readConversation": ("buyer", talk, {}, {"s": 1}, 200),
        "moderateConversation": ("merchant", talk, {}, moderation, 200),
        "listRoomMessages": ("nobody", sale, {}, None, 200),
        "postRoomMessage": ("buyer", sale, {}, say, 201),
        "getPushKey": ("nobody", {}, {}, None, 200),
        "subscribe": ("buyer", {}, {}, browser(), 201),
        "listSubscriptions": ("buyer", {}, {}, None, 200),
        "unsubscribeEndpoint": ("buyer", {}, {"endpoint": shop.browser["endpoint"]}, None, 204),
        "unsubscribe": ("buyer", {"subscription_id": spare}, {}, None, 204),
        "createWebhook": ("merchant", {}, {}, WEBHOOK, 201),
        "listWebhooks": ("merchant", {}, {}, None, 200),
        "getWebhook": ("merchant", webhook, {}, None, 200),
        "rotateWebhookSecret": ("merchant", webhook, {}, None, 200),
        "resumeWebhook": ("merchant", webhook, {}, None, 200),
        "listFailedDeliveries": ("merchant", webhook, {}, None, 200),
        "redeliver": ("merchant", webhook, {}, None, 202),
        "deleteWebhook": ("merchant", shop.ids_for("deleteWebhook"), {}, None, 204),
        "moderateRoom": ("merchant", sale, {}, moderation, 200),
        "getRoomModeration": ("merchant", sale, {}, None, 200),
        **operators_successes(shop),
    }


def operators_successes(shop: Shop) -> dict[str, tuple[str, dict[str, str], dict[str, Any], Any, int]]:
    sale, then = {"sale_id": shop.sale}, {"position": shop.order["position"]}
    of_buyer = {"sale": shop.sale, "buyer": shop.users["buyer"]["id"], "q": "ord", "limit": 1}
    return {
        "opsWhoAmI": ("viewer", {}, {}, None, 200),
        "opsListCells": ("viewer", {}, {}, None, 200),
        "opsGetFrame": ("viewer", {}, then, None, 200),
        "opsListProcesses": ("viewer", {}, {}, None, 200),
        "opsListSales": ("viewer", {}, {"state": "open", "q": "lamp", "limit": 5}, None, 200),
        "opsGetSale": ("viewer", sale, {}, None, 200),
        "opsListOrders": ("viewer", {}, {**of_buyer, "payment": "captured"}, None, 200),
        "opsListHolds": ("viewer", {}, {**then, "status": "held"}, None, 200),
        "opsListRooms": ("viewer", {}, then, None, 200),
        "opsListRoomMessages": ("viewer", sale, {}, None, 200),
        "opsListLog": ("viewer", {}, {"subject": "log.*.sale.>", "type": "UnitsHeld", "limit": 5}, None, 200),
        "opsGetCommit": ("viewer", {"log_position": shop.order["position"]}, {}, None, 200),
        "opsGetHealth": ("viewer", {}, {}, None, 200),
        **{
            step: ("operator", {"sale_id": shop.new_sale(state)}, {}, OPS_BODIES.get(step), 200)
            for step, state in STEPS.items()
            if step.startswith("ops")
        },
        "opsModerateRoom": ("operator", sale, {}, OPS_BODIES["opsModerateRoom"], 200),
        "opsListOperators": ("admin", {}, {}, None, 200),
        "opsRevokeOperator": ("admin", {"name": shop.doomed_operator}, {}, None, 204),
    }


def test_every_documented_operation_succeeds_as_described(shop, schema, checks):
    asked = successes(shop)
    operations = operations_of(schema)
    assert {operation.definition.raw["operationId"] for operation in operations} == asked.keys()

    for operation in operations:
        who, path, query, body, status = asked[operation.definition.raw["operationId"]]
        takes_key = any(parameter.name == "Idempotency-Key" for parameter in operation.headers)
        case = operation.Case(
            path_parameters=path,
            query=query,
            headers={**shop.headers(who), **({"Idempotency-Key": os.urandom(8).hex()} if takes_key else {})},
            **({"body": body, "media_type": "application/json"} if body is not None else {}),
        )
        answer = case.call()
        assert answer.status_code == status, (operation.label, answer.text)
        case.validate_response(answer, checks=checks)


# --- whatever is asked, the answer is a declared one ---------------------------------------------------------------


class Inquiry:
    """Asks as somebody, and collects what the document does not say."""

    def __init__(self, shop: Shop, who: str, checks: list[CheckFunction]) -> None:
        self._shop = shop
        self._who = who
        self._checks = checks
        self._session = requests.Session()
        self.found: dict[str, str] = {}
        self.asked = 0

    def ask(self, case: Case) -> None:
        if case.operation.definition.raw["operationId"] == "logout" and self._who in ("buyer", "merchant"):
            # Logging out would end the session that all the other cases live in: each gets its own.
            self._shop.register("leaving", self._who)
            headers = self._shop.headers("leaving")
        else:
            headers = self._shop.headers(self._who)
        answer = case.call(session=self._session, headers=headers)
        self.asked += 1
        # A body that is too large is not read, so that nobody finds out what else is wrong with it.
        too_large = [c for c in self._checks if c.__name__ != "negative_data_rejection"]
        try:
            case.validate_response(answer, checks=too_large if answer.status_code == 413 else self._checks)
        except (Failure, FailureGroup) as failure:
            each = failure.exceptions if isinstance(failure, FailureGroup) else (failure,)
            for fault in each:
                self.found.setdefault(f"{case.operation.label}: {fault}", case.as_curl_command())


def operations_of(schema: OpenApiSchema) -> list[Any]:
    return [cast("Any", found).ok() for found in schema.get_all_operations()]


def operations_for(schema: OpenApiSchema, who: str) -> Iterator[Any]:
    """Who has no token asks what is open to all; the others ask what is not."""
    for operation in operations_of(schema):
        if (who == "nobody") is not bool(operation.definition.raw.get("security")):
            yield operation


@pytest.mark.parametrize("who", ("nobody", "buyer", "merchant", "admin"))
def test_every_bound_in_the_document_holds(shop, schema, checks, who):
    """All values at and beyond every bound that the document gives, all methods that it does not."""
    inquiry = Inquiry(shop, who, checks)
    for operation in operations_for(schema, who):
        ids = shop.ids_for(operation.definition.raw["operationId"])
        cases = schema.iter_coverage_cases(
            operation,
            generation_modes=list(GenerationMode),
            generation_config=schema.config.generation,
        )
        for number, case in enumerate(cases):
            path = case.meta and case.meta.components.get(ParameterLocation.PATH)
            # Every fourth keeps its made-up id, for the answers about what does not exist.
            if path and path.mode.is_positive and number % 4:
                case.path_parameters.update({k: ids[k] for k in case.path_parameters})
            sent = case.meta and case.meta.components.get(ParameterLocation.HEADER)
            if sent and sent.mode.is_positive and "Idempotency-Key" in case.headers:
                # The same key for all of them would answer all but the first with `key_reused`.
                case.headers["Idempotency-Key"] = os.urandom(8).hex()
            inquiry.ask(case)

    assert inquiry.asked > 100
    assert not inquiry.found, "\n\n".join(f"{fault}\n{curl}" for fault, curl in inquiry.found.items())


@pytest.mark.parametrize("who", ("nobody", "buyer", "merchant", "admin"))
def test_chance_finds_no_answer_that_is_not_declared(shop, schema, checks, who):
    inquiry = Inquiry(shop, who, checks)
    for operation in operations_for(schema, who):
        ids = shop.ids_for(operation.definition.raw["operationId"])
        path = {parameter.name: ids[parameter.name] for parameter in operation.path_parameters}
        for mode in GenerationMode:
            if mode.is_negative and not (operation.query or operation.headers or operation.body):
                continue  # nothing to get wrong

            @settings(
                max_examples=FUZZED,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(mode, path_parameters=path or None))
            def asked(case: Case) -> None:
                inquiry.ask(case)

            asked()

    assert inquiry.asked > 30
    assert not inquiry.found, "\n\n".join(f"{fault}\n{curl}" for fault, curl in inquiry.found.items())
