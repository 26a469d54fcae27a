"""Trains a small model with a loss and rows of one's own on eight devices, and encodes with what came out.

python examples/own_loss.py runs/own_loss
"""

import dataclasses
import os
import random
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"  # one CPU as eight devices

import jax
import jax.numpy as jnp

from instructor_jax import EncoderConfig, Instructor, ModelConfig
from instructor_jax.train import LossInputs, from_memory, recipes, train

INSTRUCTION = "Represent the note for retrieving the same fruit: "


def siglip(pairs: LossInputs) -> jax.Array:
    """The sigmoid loss (Zhai et al. 2023): of every query and positive, on all devices, do they belong together?"""
    scores = 10 * jnp.einsum("gnd,hmd->gnhm", pairs.query, pairs.positive) - 5
    groups, n = pairs.valid.shape
    own = jnp.eye(groups * n, dtype=bool).reshape(groups, n, groups, n)
    losses = -jax.nn.log_sigmoid(jnp.where(own, scores, -scores))
    return jnp.where(pairs.valid, losses, 0).sum(axis=(2, 3))  # one number per row


def rows(chance: random.Random) -> dict[str, str]:
    """A note about three kinds of fruit, and another one about the same."""
    fruit = chance.sample(["apple", "pear", "plum", "cherry", "grape", "melon", "fig", "lemon", "peach", "quince"], 3)
    ways = chance.sample(["a basket of {}, {}, {}", "somebody bought {}, {}, {}", "we had {} and {} and {}"], 2)
    return {"query": ways[0].format(*fruit), "positive": ways[1].format(*chance.sample(fruit, 3))}


tiny = recipes.tiny()
encoder = EncoderConfig(vocab=200, embed=32, layers=2, heads=2, head_dim=16, ffn=64, dropout=0.0)
batch = dataclasses.replace(tiny.batch, groups=8, rows=4, length=128, negatives=0)
config = dataclasses.replace(
    tiny, output=sys.argv[1], model=ModelConfig(encoder, projection=32, max_length=64), batch=batch, steps=100
)
examples = from_memory([rows(random.Random(seed)) for seed in range(400)], query_instruction=INSTRUCTION)
outcome = train(config, examples=examples, loss=siglip, on_metrics=lambda step, line: print(step, *line.items()))

notes = ["we had plum and fig and pear", "a basket of fig, pear, plum", "somebody bought apple, melon, grape"]
vectors = Instructor.from_pretrained(outcome.model).encode(notes, instruction=INSTRUCTION)
print(f"{jax.device_count()} devices; same fruit {vectors[0] @ vectors[1]:.2f}, other {vectors[0] @ vectors[2]:.2f}")
