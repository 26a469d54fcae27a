import pytest

from instructor_jax.train.plan.hlo import parse_hlo
from instructor_jax.train.plan.instruction import Shape

LOOP = """HloModule small

%condition (parameter.1: (s32[], f32[8,128])) -> pred[] {
  %parameter.1 = (s32[], f32[8,128]{1,0}) parameter(0)
  %counter.1 = s32[] get-tuple-element(%parameter.1), index=0
  %bound = s32[] constant(12)
  ROOT %less = pred[] compare(%counter.1, %bound), direction=LT
}

%body (parameter.2: (s32[], f32[8,128])) -> (s32[], f32[8,128]) {
  %parameter.2 = (s32[], f32[8,128]{1,0}) parameter(0)
  %counter.2 = s32[] get-tuple-element(%parameter.2), index=0
  %stride = s32[] constant(STRIDE)
  %next = s32[] add(%counter.2, %stride)
  %x = f32[8,128]{1,0} get-tuple-element(%parameter.2), index=1
  %y = f32[8,128]{1,0} multiply(%x, %x), metadata={op_name="jit(f)/mul"}
  ROOT %both = (s32[], f32[8,128]{1,0}) tuple(%next, %y)
}

ENTRY %main (start: (s32[], f32[8,128])) -> (s32[], f32[8,128]) {
  %start = (s32[], f32[8,128]{1,0}) parameter(0)
  ROOT %loop = (s32[], f32[8,128]{1,0}) while(%start), condition=%condition, body=%body
}
"""


@pytest.mark.parametrize(("stride", "runs"), [(1, 12), (2, 6), (5, 3)])
def test_a_loop_runs_as_often_as_its_counter_takes(stride: int, runs: int) -> None:
    program = parse_hlo(LOOP.replace("STRIDE", str(stride)))
    assert program.runs["body"] == runs
    assert program.runs["main"] == 1
    (multiplied,) = [(times, one) for times, _, one in program.executed() if one.opcode == "multiply"]
    assert multiplied[0] == runs
    assert multiplied[1].op_name == "jit(f)/mul"


@pytest.mark.parametrize(("stride", "start", "runs"), [(1, 1, 11), (1, 4, 8), (2, 1, 6), (5, 2, 2)])
def test_trips_that_were_taken_out_of_a_loop_are_not_counted_twice(stride: int, start: int, runs: int) -> None:
    """Where a compiler runs the first layers before the loop, its counter begins with their number."""
    entry = f"""ENTRY %main (x: f32[8,128]) -> (s32[], f32[8,128]) {{
  %x = f32[8,128]{{1,0}} parameter(0)
  %first = s32[] constant({start})
  %copied = s32[] copy(%first)
  %start = (s32[], f32[8,128]{{1,0}}) tuple(%copied, %x)
  ROOT %loop"""
    head, _, tail = LOOP.replace("STRIDE", str(stride)).partition("ENTRY")
    program = parse_hlo(f"{head}{entry}{tail.partition('ROOT %loop')[2]}")
    assert program.runs["body"] == runs


def test_trips_that_xla_notes_count() -> None:
    noted = LOOP.replace("body=%body", 'body=%body, backend_config={"known_trip_count":{"n":"7"}}')
    assert parse_hlo(noted.replace("STRIDE", "1")).runs["body"] == 7


def test_tpus_store_whole_tiles() -> None:
    """A last axis of 64 takes the room of 128 lanes, 12 rows that of 16 sublanes."""
    shape = Shape("bf16", (3, 12, 64), "2,1,0:T(8,128)(2,1)")
    assert shape.bytes == 3 * 12 * 64 * 2
    assert shape.padded_bytes == 3 * 16 * 128 * 2
    assert shape.in_memory
    assert not Shape("f32", (8, 128), "1,0:T(8,128)S(1)").in_memory


def test_other_text_is_refused() -> None:
    with pytest.raises(ValueError, match="ENTRY"):
        parse_hlo("nothing of this kind")
