"""What products do."""

from typing import Any

from cells.engine.project import Recorded
from cells.kernel.money import Money
from server.catalogue import read
from server.catalogue.decide import DECIDER
from server.catalogue.model import Change, Create, ProductChanged, ProductCreated
from tests.unit.given import given

NOW = 1_800_000_000_000
PRICE = Money(4990, "EUR")
CREATE = Create("prd_1", "mer_1", "Shoe", "red", PRICE, 10, ("/a.png",), {"size": "43"})
CREATED = ProductCreated("prd_1", "mer_1", "Shoe", "red", PRICE, 10, ("/a.png",), {"size": "43"}, NOW)


def changed(at: int, **fields: Any) -> ProductChanged:
    names = ("title", "description", "price", "stock", "images", "attributes")
    return ProductChanged(**{**dict.fromkeys(names), **fields}, at=at)


def test_a_product_is_created():
    state = given(DECIDER).when(CREATE, NOW).then(CREATED)

    assert (state.title, state.created_at, state.updated_at) == ("Shoe", NOW, NOW)


def test_creating_it_again_changes_nothing():
    given(DECIDER, CREATED).when(CREATE, NOW + 1).then()


def test_a_change_touches_only_what_it_names():
    state = (
        given(DECIDER, CREATED)
        .when(Change("mer_1", stock=0, description=""), NOW + 1)
        .then(changed(NOW + 1, stock=0, description=""))
    )

    assert (state.title, state.stock, state.description) == ("Shoe", 0, "")
    assert (state.created_at, state.updated_at) == (NOW, NOW + 1)


def test_a_change_to_what_it_is_already_changes_nothing():
    given(DECIDER, CREATED).when(Change("mer_1", title="Shoe", price=PRICE), NOW + 1).then()


def test_nobody_changes_the_product_of_another():
    given(DECIDER, CREATED).when(Change("mer_2", stock=1), NOW).rejected("not_found")
    given(DECIDER).when(Change("mer_1", stock=1), NOW).rejected("not_found")


def test_every_commit_leads_to_one_statement_a_row():
    batch = [
        Recorded(7, "log.001.prd.prd_1", 1, "prd", "prd_1", 1, NOW, [CREATED]),
        Recorded(9, "log.001.prd.prd_1", 1, "prd", "prd_1", 2, NOW, [changed(NOW, images=())]),
    ]

    (create, created), (change, altered) = read.changes(batch)

    assert create.split()[:3] == ["INSERT", "INTO", "products"]
    assert created[-1] == 7
    assert change.split()[:2] == ["UPDATE", "products"]
    assert altered == ("prd_1", None, None, None, None, None, [], None, NOW, 2, 9)


def test_a_search_takes_wildcards_literally():
    assert read._pattern("50%_off\\") == "%50\\%\\_off\\\\%"
    assert read._pattern("") is None
