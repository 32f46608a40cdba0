"""``warmline doctor``: what is installed, what is missing, what each setting resolves to and from where."""

from __future__ import annotations

import json as jsonlib
import platform
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import TYPE_CHECKING

import typer

from ._options import Json, load_settings

if TYPE_CHECKING:
    from ...agent.settings import Settings


def doctor(json: Json = False) -> None:
    """Tell what is installed, what is missing, and where each setting comes from. Fails when vetted words are broken.

    Example: warmline doctor
    """
    from ...agent.model.pull import locate
    from ...agent.settings import config_file, every_setting

    settings = load_settings()
    model = locate(settings.model)
    words = _words(settings)
    report = {
        "warmline": version("warmline"),
        "python": platform.python_version(),
        "extras": {name: _missing(needs) for name, needs in _extras().items()},
        "config_file": f"{config_file()}{'' if config_file().exists() else ' (not there; defaults apply)'}",
        "settings": [
            {"key": s.key, "value": str(s.of(settings)), "source": s.source(settings)} for s in every_setting()
        ],
        "store": settings.store.resolved_url(),
        "languages": words,
        "model": settings.model.base_url or (str(model) if model else "not fetched yet; run: warmline models pull"),
        "vllm": _vllm(),
    }
    if json:
        typer.echo(jsonlib.dumps(report, indent=2))
        raise typer.Exit(_code(words))
    typer.echo(f"warmline {report['warmline']} on Python {report['python']}")
    typer.echo(f"settings file: {report['config_file']}\nstore: {report['store']}\nmodel: {report['model']}")
    typer.echo(f"vllm: {report['vllm']}\n")
    for name, missing in report["extras"].items():
        typer.echo(f"  extra {name:<11} {'installed' if not missing else 'missing ' + ', '.join(missing)}")
    typer.echo("")
    for language, trouble in words.items():
        typer.echo(f"  language {language:<8} {trouble or 'whole, with a line for every country'}")
    typer.echo("")
    for row in report["settings"]:
        typer.echo(f"  {row['key']:<26} {row['value']:<32} {row['source']}")
    raise typer.Exit(_code(words))


def _vllm() -> str:
    """The vLLM that ``warmline serve`` would start."""
    from ...finetune.vllm import ServeError, find_engine

    try:
        engine = find_engine()
    except ServeError as error:
        return f"none; {error}"
    return f"{engine.version} for {engine.device}, {engine.python}"


def _words(settings: Settings) -> dict[str, str | None]:
    """By shipped language, what is wrong with its copy, its playbooks or their lines; None when nothing is."""
    from ...agent.copy import CopyError
    from ...agent.protocol.files import PlaybookError
    from ...agent.protocol.playbook import check_lines
    from ...agent.voice import Voices
    from ...guards.hotlines import Directory, DirectoryError

    found: dict[str, str | None] = {}
    voices = Voices()
    for language in voices.languages:
        try:
            check_lines(voices.load(language).playbooks, Directory.load(settings.guards.hotlines))
            found[language] = None
        except (CopyError, PlaybookError, DirectoryError) as error:
            found[language] = str(error)
    return found


def _code(words: dict[str, str | None]) -> int:
    return 1 if any(words.values()) else 0


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
