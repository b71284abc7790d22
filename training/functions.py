"""Functions: the tools that prompts offer, and the questions that they answer."""

import json
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Function:
    """A tool of one string parameter.

    Attributes:
        name: of the tool.
        parameter: its only one.
        about: its description.
        question: what it helps to answer.
    """

    name: str
    parameter: str
    about: str
    question: str

    def as_json(self) -> str:
        """The tool as OpenAI's JSON."""
        value = {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.about,
                "parameters": {
                    "type": "object",
                    "properties": {self.parameter: {"type": "string"}},
                    "required": [self.parameter],
                },
            },
        }
        return json.dumps(value)


FLIGHT: Final = Function(
    "get_flight_status", "flight_number", "Status of a flight.", "Is this flight on time?"
)
WEATHER: Final = Function(
    "get_weather", "city", "Weather of a city.", "What is the weather in this city?"
)
ORDER: Final = Function("track_order", "order_id", "Where an order is.", "Where is this order?")
FUNCTIONS: Final = (
    FLIGHT,
    WEATHER,
    ORDER,
    Function("translate", "text", "Translates a text.", "What does this mean in French?"),
    Function("set_alarm", "time", "Sets an alarm clock.", "Wake me at this time."),
    Function("play_song", "song", "Plays a song.", "Play this song."),
)
CITIES: Final = (
    *("Berlin", "Paris", "London", "Madrid", "Rome", "Vienna", "Athens", "Lisbon", "Dublin"),
    *("Oslo", "Prague", "Warsaw", "Tokyo", "Seoul", "Beijing", "Delhi", "Mumbai", "Cairo"),
    *("Nairobi", "Lagos", "Sydney", "Boston", "Chicago", "Denver", "Dallas", "Seattle", "Toronto"),
    *("Lima", "Bogota", "Santiago", "Havana", "Munich", "Hamburg", "Geneva", "Zurich", "Milan"),
    *("Naples", "Venice", "Porto", "Seville", "Lyon", "Nice", "Brussels", "Moscow", "Kyiv"),
    *("Riga", "Sofia", "Belgrade", "Zagreb", "Ankara", "Dubai", "Doha", "Tehran", "Karachi"),
    *("Hanoi", "Bangkok", "Manila", "Jakarta", "Osaka", "Kyoto", "Perth", "Miami", "Austin"),
)
AIRLINES: Final = ("LH", "BA", "AF", "KL", "IB", "LX", "OS", "AA", "UA", "DL", "QF", "JL", "TK")
