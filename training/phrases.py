"""Phrases: what stands in many prompts and answers, each one token."""

from typing import Final

from training.canvas import COLOURS, SHAPES
from training.functions import FUNCTIONS

NOT_SHOWN: Final = "not shown"
NOTHING: Final = "nothing"
NO_TOOL: Final = "No tool fits."
TAP: Final = "Tap{point:("
SENTENCES: Final = (
    "You are a helpful assistant.",
    "system\n",
    "user\n",
    "assistant\n",
    "Read the text.",
    "Describe the picture.",
    "What colour is the shape?",
    "What shape is it?",
    "Is there ",
    "How many shapes are there?",
    "How many ",
    "What is the title?",
    "What is the result?",
    "What is ",
    *("left of the ", "right of the ", "above the ", "below the "),
    *(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES),
    "Which bar is the largest?",
    "The clip has ",
    " frames per second. ",
    "What happens?",
    "When does ",
    " appear?",
    *(" appears", " moves left", " moves right", " moves up", " moves down"),
    *("Tap ", TAP, ")}"),
    *(NOT_SHOWN, NOTHING, NO_TOOL),
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n",
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>',
    '{"type": "function", "function": {"name": "',
    '", "description": "',
    '", "parameters": {"type": "object", "properties": {"',
    '": {"type": "string"}}, "required": ["',
    '"]}}}',
    *('{"name": "', '", "arguments": {"', '": "', '"}}'),
    *(text for one in FUNCTIONS for text in (one.name, one.parameter, one.about, one.question)),
)
