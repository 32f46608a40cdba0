"""Recipes: shipped ones are whole, a file or a flag changes single fields, and mistakes are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from warmline.finetune.__main__ import options
from warmline.finetune.bases import bases
from warmline.finetune.recipe import Recipe, RecipeError, load_recipe, shipped

ROOT = Path(__file__).parents[2]


def test_two_recipes_ship() -> None:
    assert shipped() == ["paper", "warmline"]


@pytest.mark.parametrize("name", ["paper", "warmline"])
def test_a_shipped_recipe_is_whole(name: str) -> None:
    assert load_recipe(name).rank > 0


def test_the_paper_recipe_has_the_published_figures() -> None:
    recipe = load_recipe("paper")
    published = (
        recipe.rank,
        recipe.alpha,
        recipe.dropout,
        recipe.learning_rate,
        recipe.grad_clip,
        recipe.effective_batch,
    )
    assert published == (64, 16, 0.1, 2e-4, 0.3, 128)


def test_a_change_wins_over_the_file() -> None:
    assert load_recipe("paper", {"rank": "8"}).rank == 8


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("rank: 4\nepochs: 0.5\n")
    assert load_recipe(str(tmp_path / "mine.yaml")) == Recipe(rank=4, epochs=0.5)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("rank: many", "rank"),
        ("rang: 4", "rang"),
        ("batch: 3\neffective_batch: 8", "multiple of batch"),
        ("- rank", "field: value"),
        ("rank: [", "not YAML"),
    ],
)
def test_a_mistake_in_a_file_is_named(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(RecipeError, match=named):
        load_recipe(str(tmp_path / "mine.yaml"))


def test_an_unknown_recipe_is_told_with_those_that_are_there() -> None:
    with pytest.raises(RecipeError, match="paper, warmline"):
        load_recipe("papre")


def test_every_field_of_a_recipe_is_a_flag() -> None:
    flags = {flag for action in options()._actions for flag in action.option_strings}
    assert {f"--{name.replace('_', '-')}" for name in Recipe.model_fields} <= flags


def test_every_preset_names_its_licence() -> None:
    assert all(one.licence for group in bases().values() for one in group)


def test_the_papers_seven_bases_are_there() -> None:
    assert len(bases()["paper"]) == 7


def test_the_accelerate_file_is_one_that_accelerate_takes(tmp_path: Path) -> None:
    """A dry run: accelerate reads the file and knows every key of it; nothing is launched."""
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.utils import FullyShardedDataParallelPlugin

    file = ROOT / "finetune" / "data" / "accelerate" / "fsdp_qlora.yaml"
    config = load_config_from_file(str(file))
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=config.fsdp_config["fsdp_version"],
        auto_wrap_policy=config.fsdp_config["fsdp_auto_wrap_policy"],
        state_dict_type=config.fsdp_config["fsdp_state_dict_type"],
        cpu_ram_efficient_loading=False,
    )
    assert (config.distributed_type, config.num_processes, plugin.fsdp_version) == ("FSDP", 2, 2)


def test_recipes_can_be_written_into_an_adapters_card() -> None:
    assert Recipe.model_validate(json.loads(json.dumps(load_recipe("warmline").model_dump()))) == load_recipe(
        "warmline"
    )


def test_a_recipe_file_has_only_fields() -> None:
    for name in shipped():
        raw = yaml.safe_load((ROOT / "finetune" / "data" / "recipes" / f"{name}.yaml").read_text())
        assert set(raw) <= set(Recipe.model_fields)
