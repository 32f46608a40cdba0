"""``warmline doctor``: what is installed, what is missing, what each setting resolves to and from where."""

from __future__ import annotations

import json as jsonlib
import platform
from importlib.metadata import PackageNotFoundError, distribution, version

import typer

from ._options import Json, load_settings


def doctor(json: Json = False) -> None:
    """Tell what is installed, what is missing, and where each setting comes from.

    Example: warmline doctor
    """
    from ...agent.model.pull import locate
    from ...agent.settings import config_file, every_setting

    settings = load_settings()
    model = locate(settings.model)
    report = {
        "warmline": version("warmline"),
        "python": platform.python_version(),
        "extras": {name: _missing(needs) for name, needs in _extras().items()},
        "config_file": f"{config_file()}{'' if config_file().exists() else ' (not there; defaults apply)'}",
        "settings": [
            {"key": s.key, "value": str(s.of(settings)), "source": s.source(settings)} for s in every_setting()
        ],
        "store": settings.store.resolved_url(),
        "model": settings.model.base_url or (str(model) if model else "not fetched yet; run: warmline models pull"),
    }
    if json:
        typer.echo(jsonlib.dumps(report, indent=2))
        return
    typer.echo(f"warmline {report['warmline']} on Python {report['python']}")
    typer.echo(f"settings file: {report['config_file']}\nstore: {report['store']}\nmodel: {report['model']}\n")
    for name, missing in report["extras"].items():
        typer.echo(f"  extra {name:<11} {'installed' if not missing else 'missing ' + ', '.join(missing)}")
    typer.echo("")
    for row in report["settings"]:
        typer.echo(f"  {row['key']:<26} {row['value']:<32} {row['source']}")


def _extras() -> dict[str, list[str]]:
    """Each extra with the distributions it names."""
    extras: dict[str, list[str]] = {}
    for need in distribution("warmline").requires or []:
        requirement, _, marker = need.partition(";")
        if "extra ==" in marker:
            extra = marker.split("extra ==")[1].strip().strip("\"'")
            name = requirement.split("[")[0].split(">")[0].split("<")[0].split("=")[0].split("!")[0].strip()
            if name != "warmline":
                extras.setdefault(extra, []).append(name)
    return extras


def _missing(needs: list[str]) -> list[str]:
    missing = []
    for name in needs:
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    return missing
