"""The paper's instruction template, and a linter for instructions unlike those the published models were trained on.

Only the shape matters to the code; the model was trained on "Represent the <domain> <text type> for <objective>".
InstructorEmbedding 1.0.1 glues instruction and text together, so the template ends in ": " with the space.
"""

import dataclasses
import re

from instructor_jax.io.printable import one_line


@dataclasses.dataclass(frozen=True)
class Instruction:
    """Renders the paper's "Represent the {domain} {text_type} for {objective}: " (Su et al. 2023, section 2.3).

    `domain` and `objective` are optional, as in the paper; `str(Instruction(...))` can be passed to `encode`.

    >>> str(Instruction(domain="Science", text_type="sentence", objective="clustering"))
    'Represent the Science sentence for clustering: '
    """

    domain: str = ""
    text_type: str = ""
    objective: str = ""

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not isinstance(value, str):
                raise ValueError(f"Instruction {name} must be a string, not a {type(value).__name__}.")
        if not (self.text_type.strip() or self.domain.strip()):
            raise ValueError("Instruction needs a text type such as 'sentence', 'document', 'question', or a domain.")
        for name, value in dataclasses.asdict(self).items():
            if value != value.strip() or "\n" in value:
                shown = one_line(repr(value[:80]), 100)
                raise ValueError(f"Instruction {name}={shown} must have no newline and no blanks at its ends.")

    def __str__(self) -> str:
        subject = " ".join(part for part in (self.domain, self.text_type) if part)
        return f"Represent the {subject}{f' for {self.objective}' if self.objective else ''}: "

    render = __str__


def lint_instruction(instruction: str) -> list[str]:
    """What in an instruction differs from the shapes that the published INSTRUCTOR models saw; empty when nothing.

    The rules come from the published training and evaluation instructions: they begin with "Represent", end in a colon
    or semicolon, stay within one line and, but for one that lists its classes, within 40 words.

    Raises:
        ValueError: it is no string.
    """
    if not isinstance(instruction, str):
        raise ValueError(f"the instruction must be a string, not a {type(instruction).__name__}; see Instruction.")
    warnings = []
    stripped = instruction.strip()
    if not stripped:
        return warnings
    if not stripped.lower().startswith("represent"):
        warnings.append("does not begin with 'Represent'; every published instruction does")
    if stripped[-1] not in ":;":
        warnings.append("does not end in ':'; write '...: ' with the space, or instruction and text run together")
    elif stripped[-1] == ":" and not instruction.endswith(": "):
        warnings.append("has no space after ':'; the text's first word is then tokenised differently than published")
    if "\n" in stripped:
        warnings.append("spans several lines; published instructions are one line")
    if len(stripped.split()) > 40:
        warnings.append(f"has {len(stripped.split())} words; all published instructions but one have at most 40")
    if re.search(r"\{[a-z_ ]*\}", stripped):
        warnings.append("contains an unfilled placeholder in braces")
    if re.search(r"represents?\s+the\s+for\b", stripped, re.IGNORECASE):
        warnings.append("names neither a domain nor a text type")
    return warnings
