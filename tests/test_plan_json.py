"""Plans as JSON: the published schema is the contract."""

from __future__ import annotations

import json
from typing import get_args

import jsonschema
import pytest
from test_layers import ROOT
from test_plan_script import figures, looped

from torchmedic.observed.plan import CATEGORIES, Phase

SCHEMA = json.loads((ROOT / "torchmedic/render/plan.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    words = ("--memory", "730MiB", "--remedies")
    program = looped().replace("DataLoader(data, 32", "DataLoader(data, 256")
    return figures(tmp_path_factory.mktemp("plan"), program, *words)


def test_plans_keep_to_the_schema(told, tmp_path):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(told)
    assert told["remedies"] and told["timeline"] and told["fits"] is not None
    VALIDATOR.validate(figures(tmp_path, looped(), "--ddp", "4"))


def test_the_schema_names_every_category_and_phase():
    event = SCHEMA["properties"]["timeline"]["items"]["properties"]
    assert sorted(event["category"]["enum"]) == sorted(CATEGORIES)
    assert event["phase"]["enum"] == list(get_args(Phase))
    assert SCHEMA["properties"]["by_category"]["propertyNames"]["enum"] == event["category"]["enum"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plan: plan.update(extra=1),
        lambda plan: plan.pop("growth"),
        lambda plan: plan.update(allocated=-1),
        lambda plan: plan["by_category"].update(shoes=1),
        lambda plan: plan["timeline"][0].update(kind="lost"),
        lambda plan: plan["remedies"][0].pop("fits"),
    ],
)
def test_the_schema_refuses_what_the_contract_does_not_have(told, spoil):
    plan = json.loads(json.dumps(told))
    spoil(plan)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(plan)
