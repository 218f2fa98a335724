"""The stack's settings, as its commands read them from its parameters."""

import pytest

from bulk_user_deletion.settings import Settings
from bulk_user_deletion_cli.deployment import NO_PARAMETERS, Deployment, NoStackError, variable_of
from tests.definition.loading import TEMPLATE


def variables() -> dict[str, object]:
    return dict(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])


def test_every_variable_of_the_functions_is_the_parameter_of_that_name_or_not_asked_for() -> None:
    parameters = {variable_of(name): {"Ref": name} for name in TEMPLATE["Parameters"]}

    for name, value in variables().items():
        if name.startswith("POWERTOOLS_") or name in NO_PARAMETERS:
            continue
        assert value == parameters[name], name


def a_deployment(**parameters: str) -> Deployment:
    deployment = Deployment.__new__(Deployment)  # without clients of AWS
    deployment.stack_name = "bulk-user-deletion"
    deployment.__dict__["parameters"] = parameters
    return deployment


def defaults() -> dict[str, str]:
    return {
        name: str(parameter.get("Default", "https://portal.example.com"))
        for name, parameter in TEMPLATE["Parameters"].items()
    }


def test_the_settings_are_those_of_the_parameters() -> None:
    settings = a_deployment(**{**defaults(), "MaxUsers": "7"}).settings

    assert isinstance(settings, Settings)
    assert settings.limits.max_users == 7
    assert settings.portal_url == "https://portal.example.com"


def test_a_stack_of_another_version_is_told_as_that() -> None:
    parameters = defaults()
    del parameters["MaxDisableUsers"]

    with pytest.raises(NoStackError, match=r"'MAX_DISABLE_USERS'.*Deploy it again"):
        _ = a_deployment(**parameters).settings
