"""Arguments checked, and errors that say what to write instead."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from a3s_code.errors import ArgumentError
from a3s_code.toolkit.arguments import validate


class Point(BaseModel):
    x: int


class Wanted(BaseModel):
    file_path: str
    limit: int = Field(10, ge=1, le=100)
    mode: Literal["fast", "slow"] = "fast"
    deep: bool = False
    either: int | str | None = None
    points: list[Point] = []
    several: dict[str, int] = {}


def wrong(**arguments: Any) -> ArgumentError:
    with pytest.raises(ArgumentError) as caught:
        validate(Wanted, {"file_path": "a", **arguments})
    return caught.value


@pytest.mark.parametrize(
    ("arguments", "issue"),
    [
        ({"limit": "abc"}, ("limit", "integer", "string 'abc'")),
        ({"limit": 1.5}, ("limit", "integer", "number 1.5")),
        ({"limit": 0}, ("limit", "at least 1", "integer 0")),
        ({"limit": 101}, ("limit", "at most 100", "integer 101")),
        ({"limit": [1]}, ("limit", "integer", "array [1]")),
        ({"mode": "warp"}, ("mode", "'fast' or 'slow'", "string 'warp'")),
        ({"deep": "perhaps"}, ("deep", "boolean", "string 'perhaps'")),
        ({"either": [1]}, ("either", "integer or string", "array [1]")),
        ({"file_path": 7}, ("file_path", "string", "integer 7")),
        ({"file_path": None}, ("file_path", "string", "null")),
        ({"points": {"x": 1}}, ("points", "array", 'object {"x": 1}')),
        ({"points": [{"x": 1}, {"x": "q"}]}, ("points.1.x", "integer", "string 'q'")),
        ({"points": [{}]}, ("points.0.x", "a value", "nothing")),
        ({"several": {"a": True, "b": []}}, ("several.b", "integer", "array []")),
        ({"filepath": "a"}, ("filepath", "file_path", "unknown argument filepath")),
    ],
)
def test_an_error_names_place_expectation_and_what_came(arguments: dict[str, Any], issue: tuple[str, str, str]) -> None:
    error = wrong(**arguments)
    assert error.issues == (issue,)
    assert issue[0] in str(error)


def test_the_message_reads_as_a_sentence() -> None:
    assert str(wrong(limit="abc")) == "limit: expected integer, got string 'abc'"


def test_all_problems_are_told_at_once() -> None:
    error = wrong(limit="abc", deep="perhaps", Mode="fast")
    assert len(error.issues) == 3
    assert "unknown argument Mode (did you mean mode?)" in str(error)


def test_a_missing_argument_is_named_with_its_type() -> None:
    with pytest.raises(ArgumentError, match="file_path: expected string, got nothing"):
        validate(Wanted, {})


def test_an_unknown_argument_without_a_like_one_lists_all() -> None:
    assert "there is file_path, limit, mode" in str(wrong(zzz=1))


def test_numerals_and_whole_floats_count_as_integers() -> None:
    assert validate(Wanted, {"file_path": "a", "limit": "5"}).model_dump()["limit"] == 5
    assert validate(Wanted, {"file_path": "a", "limit": 5.0}).model_dump()["limit"] == 5


def test_a_null_means_the_default_where_it_cannot_mean_null() -> None:
    value = validate(Wanted, {"file_path": "a", "limit": None, "mode": None, "either": None}).model_dump()
    assert (value["limit"], value["mode"], value["either"]) == (10, "fast", None)


def test_a_null_stays_where_it_is_a_value() -> None:
    class Nullable(BaseModel):
        value: int | None = 5

    assert validate(Nullable, {"value": None}).model_dump() == {"value": None}


def test_a_model_may_take_any_argument() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    assert validate(Open, {"what": 1}).model_dump() == {"what": 1}


def test_an_alias_is_the_name() -> None:
    class Aliased(BaseModel):
        inner: int = Field(alias="in")

    assert validate(Aliased, {"in": 1}).model_dump() == {"inner": 1}
    with pytest.raises(ArgumentError, match="unknown argument inner"):
        validate(Aliased, {"inner": 1})


def test_a_long_value_is_shortened() -> None:
    assert len(str(wrong(limit="x" * 10_000))) < 200


def test_what_a_check_of_ones_own_says_is_told() -> None:
    def check(value: int) -> int:
        raise ValueError(f"{value} is odd")

    class Checked(BaseModel):
        even: Annotated[int, AfterValidator(check)]

    with pytest.raises(ArgumentError) as caught:
        validate(Checked, {"even": 3})
    assert str(caught.value) == "even: expected an accepted value (3 is odd), got integer 3"
