"""Lists that say something else than the catalog are found and mended."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from loravit_web.doctor import examine
from loravit_web.settings.environment import Settings
from registry import AdapterQuery, Registry
from tests.doctor.conftest import Publish, mended, problems


def test_a_list_that_is_out_of_date_is_a_problem_until_it_is_mended(
    settings: Settings, registry: Registry, publish: Publish
) -> None:
    publish("pets")
    publish("zebras")
    engine = create_engine(settings.database_url)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE adapter_summaries SET document = 'other' WHERE document LIKE 'pets%'")
        )
    engine.dispose()
    assert registry.search.adapters(AdapterQuery(text="pets")).total == 0
    assert problems(examine(settings)) == ["search"]
    report = examine(settings, mend=True)
    assert mended(report) == ["updated the summary of pets"]
    assert report.healthy
    assert registry.search.adapters(AdapterQuery(text="pets")).total == 1
