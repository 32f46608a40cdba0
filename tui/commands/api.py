"""``warmline api``: the HTTP service."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from ._options import load_settings


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on, e.g. 0.0.0.0.", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on, e.g. 8080.", min=0, max=65535, show_default=False)
    ] = None,
    web_chat: Annotated[
        bool | None, typer.Option("--web-chat/--no-web-chat", help="Serve the web chat at /chat.", show_default=False)
    ] = None,
) -> None:
    """Serve the guarded agent over HTTP: the OpenAI chat API and an API of its own. Logs go to standard error.

    Example: warmline api --host 0.0.0.0 --port 8080
    """
    for needed in ("fastapi", "uvicorn", "prometheus_client"):
        if find_spec(needed) is None:
            typer.echo("warmline: the service needs an extra: pip install 'warmline[server]'", err=True)
            raise typer.Exit(2)
    from ...agent.service import serve

    settings = load_settings()
    given = {"host": host, "port": port, "web_chat": web_chat}
    chosen = settings.service.model_dump() | {name: value for name, value in given.items() if value is not None}
    service = type(settings.service).model_validate(chosen)
    raise typer.Exit(serve(settings.model_copy(update={"service": service})))
