"""Tools in a prompt and calls in an answer, in Qwen's `nous` form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.vlm.template import Message, Part, clip_question, render
from pipeline.vlm.tools import Call, as_text, calls

TOOLS = tuple(
    json.dumps({"type": "function", "function": {"name": name, "parameters": {}}})
    for name in ("get_weather", "track_order")
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def test_every_tool_stands_in_the_system_turn_on_a_line_of_its_own() -> None:
    chat = [Message("user", [Part("image"), Part("text", "Where is it?")])]
    text = render(chat, TOOLS)
    system, _, rest = text.partition("<|im_end|>\n")
    lines = system.split("\n")
    begin, end = lines.index("<tools>"), lines.index("</tools>")
    assert lines[begin + 1 : end] == list(TOOLS)
    assert lines[1] == "You are a helpful assistant."
    assert '{"name": <function-name>, "arguments": <args-json-object>}' in lines
    assert rest == render(chat).partition("<|im_end|>\n")[2]


def test_a_system_message_stays_in_front_of_the_tools() -> None:
    chat = [Message("system", [Part("text", "Be brief.")]), Message("user", [Part("text", "Go.")])]
    assert render(chat, TOOLS).startswith("<|im_start|>system\nBe brief.\n\n# Tools\n\n")
    assert "# Tools" not in render(chat)


@given(st.lists(st.tuples(st.text(min_size=1), st.dictionaries(st.text(), values)), max_size=3))
def test_calls_come_back_from_their_text(given_: list[tuple[str, dict[str, object]]]) -> None:
    wanted = [Call(name, arguments) for name, arguments in given_]
    text = "\n".join(map(as_text, wanted))
    if "tool_call>" not in "".join(map(str, given_)):
        assert calls(text) == wanted


@pytest.mark.parametrize(
    "answer",
    ["no call", "<tool_call>\n{broken\n</tool_call>", '<tool_call>{"name": "f"}</tool_call>', ""],
)
def test_what_is_no_call_is_left_out(answer: str) -> None:
    assert calls(answer) == []


def test_a_question_on_a_clip_gives_its_rate() -> None:
    assert clip_question("What happens?", 2.0) == "The clip has 2 frames per second. What happens?"
    assert "2.5 frames" in clip_question("What happens?", 2.5)
