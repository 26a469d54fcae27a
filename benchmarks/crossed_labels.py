"""Whether a model obeys instructions about labels that cross, on data and criteria that it never saw.

    python benchmarks/crossed_labels.py default OTHER_MODEL --data FOLDER/WITH/test.csv.gz

Questions of bank customers (Banking77, Casanueva et al. 2020, arXiv 2003.04807; CC BY 4.0) that ask about one of four
products and one of three troubles. Under the instruction for the product a text of the same product and another trouble
should be nearer than one of the same trouble and another product, and the other way round under the instruction for the
trouble. 50 of 100 says that the instruction is overlooked: what is gained under the one is then lost under the other.
"""

import argparse
import csv
import gzip
import json
from pathlib import Path

import numpy as np

from instructor_jax import Instructor

LABELS = {
    ("card payment", "pending"): "pending_card_payment",
    ("card payment", "failed"): "declined_card_payment",
    ("card payment", "fee"): "card_payment_fee_charged",
    ("cash withdrawal", "pending"): "pending_cash_withdrawal",
    ("cash withdrawal", "failed"): "declined_cash_withdrawal",
    ("cash withdrawal", "fee"): "cash_withdrawal_charge",
    ("top-up", "pending"): "pending_top_up",
    ("top-up", "failed"): "top_up_failed",
    ("top-up", "fee"): "top_up_by_card_charge",
    ("transfer", "pending"): "pending_transfer",
    ("transfer", "failed"): "failed_transfer",
    ("transfer", "fee"): "transfer_fee_charged",
}
WORDINGS = {
    "named": (
        "Represent the banking question for classifying the kind of transaction: ",
        "Represent the banking question for classifying the problem: ",
    ),
    "listed": (
        "Represent the question by whether it is about a card payment, a cash withdrawal, a top-up or a transfer: ",
        "Represent the question by whether something is pending, has failed or has cost a fee: ",
    ),
}

HEAD = """\
| model | wording | for the product | for the trouble | mean |
| --- | --- | --- | --- | --- |"""


def questions(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Returns the texts, the number of the product of each, and that of its trouble.

    Raises:
        ValueError: A label has no text.
    """
    cells = {label: cell for cell, label in LABELS.items()}
    products, troubles = ([*dict.fromkeys(cell[axis] for cell in LABELS)] for axis in (0, 1))
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = [(row["text"], cells[row["category"]]) for row in csv.DictReader(file) if row["category"] in cells]
    if missing := set(LABELS) - {cell for _, cell in rows}:
        raise ValueError(f"{path} has no text of {sorted(missing)[0]}.")
    return (
        [text for text, _ in rows],
        np.array([products.index(product) for _, (product, _) in rows]),
        np.array([troubles.index(trouble) for _, (_, trouble) in rows]),
    )


def obeyed(vectors: np.ndarray, asked: np.ndarray, other: np.ndarray) -> float:
    """Returns how often a text of the same label is nearer than one of the same other label, in percent.

    Args:
        vectors: Unit vectors.
        asked: Label that the instruction asks for, of each text.
        other: Label that it does not ask for.
    """
    scores, found = vectors @ vectors.T, []
    for row, mine, others in zip(scores, asked, other, strict=True):
        right = row[(asked == mine) & (other != others)]
        wrong = row[(asked != mine) & (other == others)]
        found.append((right[:, None] > wrong[None, :]).mean())
    return 100 * float(np.mean(found))


def main() -> None:
    """Prints a row for each wording and model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="names or folders; default is the packaged one")
    parser.add_argument("--data", type=Path, required=True, help="test.csv.gz of Banking77, columns text and category")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    arguments = parser.parse_args()
    texts, products, troubles = questions(arguments.data)
    print(f"{len(texts)} texts\n\n{HEAD}")
    found = []
    for name in arguments.models:
        model = Instructor.from_pretrained(name)
        for wording, instructions in {"none": ("", ""), **WORDINGS}.items():
            by_product, by_trouble = (
                obeyed(np.asarray(model.encode(texts, instruction=instruction)), *labels)
                for instruction, labels in zip(instructions, ((products, troubles), (troubles, products)), strict=True)
            )
            mean = (by_product + by_trouble) / 2
            found.append({"model": name, "wording": wording, "product": by_product, "trouble": by_trouble})
            print(f"| {name} | {wording} | {by_product:.1f} | {by_trouble:.1f} | {mean:.1f} |", flush=True)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
