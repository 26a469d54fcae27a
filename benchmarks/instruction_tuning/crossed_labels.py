"""Whether a model obeys instructions about labels that cross, on data and criteria that it never saw.

    python benchmarks/instruction_tuning/crossed_labels.py default OTHER_MODEL --data data/raw/eval_banking77

Messages of bank customers (Banking77, Casanueva et al. 2020, arXiv 2003.04807; CC BY 4.0) are about one of four ways to
move money, and something of three kinds happened to it. Under the instruction for the one a message that is alike in it
should be nearer than one that is alike in the other. 50 of 100 says that the instruction is overlooked: what is gained
under the one is then lost under the other.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from instructor_jax import Instructor
from instructor_jax.evaluation.local.classification import read_banking77

# Labels of Banking77 that cross: what it is about, and what happened to it.
CROSSED = {
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
WORDINGS = (
    (
        "Represent the bank customer's message for classifying the kind of transaction that it is about: ",
        "Represent the bank customer's message for classifying what went wrong: ",
    ),
    (
        "Represent the banking question for finding questions about the same way to move money: ",
        "Represent the banking question for finding questions with the same complaint: ",
    ),
)
# Names all the labels that there are, and so has every text carry the words of what is asked for.
LISTED = (
    "Represent the question by whether it is about a card payment, a cash withdrawal, a top-up or a transfer: ",
    "Represent the question by whether something is pending, has failed or has cost a fee: ",
)


def crossed_obedience(
    model: Instructor, folder: Path, asked: Sequence[tuple[str, str]], per_cell: int = 10
) -> dict[str, float]:
    """How often the text that is alike in what the instruction asks for is nearer than one alike in the other way.

    Percent, the mean of both kinds of instruction; 50 means that the instruction changes nothing. Labels and data that
    no training used: customers' messages to a bank.

    Args:
        model: The model.
        folder: Folder of Banking77.
        asked: Instructions, each for what a message is about and for what happened to it.
        per_cell: Number of messages with the same two labels, 40 at most.
    """
    test = read_banking77(folder).test
    places: dict[str, list[int]] = {}
    for number, label in enumerate(test.labels):
        places.setdefault(str(label), []).append(number)
    cells = [(cell, number) for cell, label in CROSSED.items() for number in places[label][:per_cell]]
    texts = [test.texts[number] for _, number in cells]
    labels = (np.array([cell[0] for cell, _ in cells]), np.array([cell[1] for cell, _ in cells]))
    found = {"none": preferred(model, texts, ("", ""), labels)}
    for number, wordings in enumerate(asked, start=1):
        found[f"wording {number}"] = preferred(model, texts, wordings, labels)
    return found


def preferred(
    model: Instructor, texts: Sequence[str], instructions: tuple[str, str], labels: tuple[np.ndarray, np.ndarray]
) -> float:
    """Percent of comparisons in which a text of the same label of the kind asked for is nearer than one of the other.

    Args:
        model: The model.
        texts: The texts.
        instructions: One that asks for the first kind of label, one for the second.
        labels: Both labels of every text.
    """
    values = []
    for instruction, wanted, unwanted in zip(instructions, labels, labels[::-1], strict=True):
        vectors = np.asarray(model.encode(list(texts), instruction=instruction))
        scores = vectors @ vectors.T
        same, rival = wanted[:, None] == wanted, unwanted[:, None] == unwanted
        alike, opposed = same & ~rival, rival & ~same
        rows = []
        for row in range(len(texts)):
            gaps = scores[row][alike[row]][:, None] - scores[row][opposed[row]]
            rows.append(np.mean((gaps > 0) + 0.5 * (gaps == 0)))
        values.append(float(np.mean(rows)))
    return 100 * float(np.mean(values))


def main() -> None:
    """Prints a row for each model, under no instruction, two wordings, and one that lists the labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="names or folders; default is the packaged one")
    parser.add_argument("--data", type=Path, required=True, help="folder of Banking77, with test.csv.gz")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    arguments = parser.parse_args()
    print("| model | none | wording 1 | wording 2 | labels listed |\n| --- | --- | --- | --- | --- |")
    found = {}
    for name in arguments.models:
        model = Instructor.from_pretrained(name)
        found[name] = crossed_obedience(model, arguments.data, (*WORDINGS, LISTED), per_cell=40)
        print(f"| {name} | {' | '.join(f'{value:.1f}' for value in found[name].values())} |", flush=True)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
