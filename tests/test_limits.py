"""What a search was limited to, found again in a collection whose documents have changed since."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from rag.serialization import from_json
from rag.types import EVERYTHING, DocumentEntry, Filter
from service.limits import Limit, limit_now, read_now
from tests.retrievals import make_retrieval

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def entries(**names: str) -> list[DocumentEntry]:
    """Return documents by id and name."""
    return [DocumentEntry(key, name, "txt", 1, 0, 1, MOMENT) for key, name in names.items()]


CHOSEN = Filter(("a", "b"), ("prices", "notes"))


def test_documents_that_are_as_they_were_stay_chosen() -> None:
    assert limit_now(CHOSEN, entries(a="prices", b="notes", c="other")) == Limit(CHOSEN)
    assert limit_now(EVERYTHING, entries(a="prices")) == Limit()


def test_a_document_that_was_replaced_is_followed_to_its_new_version_by_name() -> None:
    limit = limit_now(CHOSEN, entries(new="prices", b="notes"))
    assert limit == Limit(Filter(("new", "b"), ("prices", "notes")), replaced=("prices",))


def test_a_document_that_has_another_name_now_is_followed_by_its_content() -> None:
    assert limit_now(CHOSEN, entries(a="prices 2024", b="notes")).filter.names == ("prices 2024", "notes")
    swapped = limit_now(CHOSEN, entries(a="notes", b="prices"))
    assert swapped == Limit(Filter(("a", "b"), ("notes", "prices")))


def test_what_is_gone_stays_in_the_filter_so_that_it_never_widens() -> None:
    some = limit_now(CHOSEN, entries(b="notes"))
    assert (some.filter, some.gone, some.nothing_left) == (CHOSEN, ("prices",), False)
    none = limit_now(CHOSEN, entries(c="other"))
    assert (none.filter, none.gone, none.nothing_left) == (CHOSEN, ("prices", "notes"), True)
    assert not limit_now(EVERYTHING, []).nothing_left


def test_a_filter_of_an_earlier_release_has_no_names_and_is_followed_by_what_it_found() -> None:
    old = from_json(Filter, '{"documents": ["gone"]}')
    found = make_retrieval([1, 2, 3], kept=2)
    (first, *others) = found.hits
    chunk = replace(first.chunk, document_id="gone", document="prices")
    found = replace(found, hits=(replace(first, chunk=chunk), *others))
    assert limit_now(old, entries(new="prices"), found) == Limit(Filter(("new",), ("prices",)), replaced=("prices",))
    assert limit_now(old, entries(new="prices")).gone == ("gone",)


def test_what_was_read_for_an_answer_is_looked_for_too() -> None:
    found = make_retrieval([1, 2, 3], kept=2)
    names = read_now(found, []).gone
    assert names
    assert set(names) <= {one.hit.chunk.document for one in found.kept}
    newer = [DocumentEntry("new", name, "txt", 1, 0, 1, MOMENT) for name in names]
    assert read_now(found, newer).replaced == names
