"""Tools: functions on offer in a prompt, and the calls in an answer, in Qwen's `nous` form.

The form is that of Qwen-Agent (`fncall_prompts/nous_fncall_prompt.py`, Apache-2.0).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_BEFORE: Final = (
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
)
_AFTER: Final = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)
_CALL: Final = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)


@dataclass(frozen=True)
class Call:
    """A function that the model wants called."""

    name: str
    arguments: Mapping[str, Any]


def tools_text(tools: Sequence[str]) -> str:
    """What follows the system message when tools are on offer, each given as JSON."""
    return _BEFORE + "\n".join(tools) + _AFTER if tools else ""


def as_text(call: Call) -> str:
    """A call as the model writes it."""
    value = {"name": call.name, "arguments": call.arguments}
    return f"<tool_call>\n{json.dumps(value, ensure_ascii=False)}\n</tool_call>"


def calls(answer: str) -> list[Call]:
    """The calls in an answer, those left out that are no JSON object with a name."""
    found = []
    for text in _CALL.findall(answer):
        try:
            value = json.loads(text)
            found.append(Call(str(value["name"]), dict(value["arguments"])))
        except (ValueError, KeyError, TypeError):
            continue
    return found
