"""One PostgreSQL for all tests that want a real one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.agent.postgres import Postgres, missing, postgres

_numbers = count()


@pytest.fixture(scope="session")
def pg() -> Iterator[Postgres]:
    """The server."""
    if reason := missing():
        pytest.skip(reason)
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def new_database(pg: Postgres) -> Callable[[], str]:
    """Makes a fresh database and gives back its URL."""
    from sqlalchemy import create_engine, text

    def make() -> str:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        engine = create_engine(pg.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return pg.url(name)

    return make
