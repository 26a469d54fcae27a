"""The callable for map_batches and mapInArrow: the vectors of `Instructor.encode`, in columns that others read."""

import pickle
import sys

import numpy as np
import pyarrow
import pytest

from instructor_jax.integrations.ray import InstructorEncoder

TEXTS = [f"text {k} {'word ' * (k % 5)}" for k in range(20)]


@pytest.fixture(scope="module")
def few_programs(embedder) -> dict:
    """Settings of the tests' shared model, whose programs are compiled once in a test run."""
    import jax

    return {"devices": jax.devices()[:1], "tokens_per_call": 512}


@pytest.fixture(scope="module")
def encoder(tiny_folder, few_programs):
    return InstructorEncoder(str(tiny_folder), "Represent the text: ", **few_programs)


@pytest.fixture(scope="module")
def expected(embedder):
    return embedder.encode(TEXTS, instruction="Represent the text: ")


def test_arrow_tables_get_lists_of_fixed_size(encoder, expected):
    table = pyarrow.table({"id": list(range(20)), "text": TEXTS})
    made = encoder(table)
    assert made.column_names == ["id", "text", "embedding"]
    assert made.schema.field("embedding").type == pyarrow.list_(pyarrow.float32(), expected.shape[1])
    np.testing.assert_array_equal(np.array(made["embedding"].to_pylist(), np.float32), expected)


def test_dictionaries_get_an_array(encoder, expected):
    made = encoder({"text": np.array(TEXTS, object)})
    np.testing.assert_array_equal(made["embedding"], expected)


def test_spark_gets_plain_lists(encoder, expected):
    batches = pyarrow.table({"text": TEXTS}).to_batches(max_chunksize=8)
    made = pyarrow.Table.from_batches(list(encoder.map_in_arrow(batches)))
    assert made.schema.field("embedding").type == pyarrow.list_(pyarrow.float32())
    # other batches, other neighbours in a row of the packer: equal but for rounding in float32
    np.testing.assert_allclose(np.array(made["embedding"].to_pylist(), np.float32), expected, atol=2e-6)


def test_small_vectors_and_other_columns(tiny_folder, expected, few_programs):
    small = InstructorEncoder(
        str(tiny_folder),
        "Represent the text: ",
        text_column="t",
        output_column="v",
        precision="float16",
        truncate_dim=8,
        **few_programs,
    )
    made = small(pyarrow.table({"t": TEXTS}))
    assert made.schema.field("v").type == pyarrow.list_(pyarrow.float16(), 8)
    short = expected[:, :8] / np.linalg.norm(expected[:, :8], axis=1, keepdims=True)
    np.testing.assert_allclose(np.array(made["v"].to_pylist(), np.float32), short, atol=2**-11)  # 11 bits


def test_a_model_is_not_sent(tiny_folder, embedder):
    encoder = InstructorEncoder(str(tiny_folder), "Represent the text: ")
    encoder._embedder = embedder  # as after a first batch
    sent = pickle.dumps(encoder)
    assert len(sent) < 2000
    assert pickle.loads(sent)._embedder is None
    assert encoder._embedder is embedder


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        ({"other": ["x"]}, "has no column 'text'; its columns: other"),
        ({"text": ["x", None]}, "column 'text' must hold text, got 'None' of type NoneType"),
        ([1], "a batch is a list; it must be an Arrow table"),
    ],
)
def test_batches_that_cannot_be_used(batch, says, encoder):
    with pytest.raises(ValueError, match=says):
        encoder(batch)


@pytest.mark.slow
def test_spark_maps_it_over_a_frame(tiny_folder, embedder, monkeypatch):
    sql = pytest.importorskip("pyspark.sql")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    session = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    spark = session.config("spark.driver.host", "127.0.0.1").getOrCreate()
    try:
        rows = [(k, text) for k, text in enumerate(TEXTS)]
        frame = spark.createDataFrame(rows, ["id", "text"]).coalesce(1)
        encoder = InstructorEncoder(str(tiny_folder), "Represent the text: ", tokens_per_call=512)
        made = frame.mapInArrow(encoder.map_in_arrow, "id long, text string, embedding array<float>").collect()
    finally:
        spark.stop()
    assert [row.text for row in sorted(made, key=lambda row: row.id)] == TEXTS
    vectors = np.array([row.embedding for row in sorted(made, key=lambda row: row.id)], np.float32)
    # Spark cuts its own batches: other neighbours in a row of the packer, equal but for rounding in float32
    expected = embedder.encode(TEXTS, instruction="Represent the text: ")
    np.testing.assert_allclose(vectors, expected, atol=2e-6)
