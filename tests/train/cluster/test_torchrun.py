import pytest

from instructor_jax.train.cluster.torchrun import found_by_torchrun

TWO = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "node0", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "node0:29500"),
        ({"TORCHELASTIC_USE_AGENT_STORE": "True"}, "node0:29501"),  # torchrun's own store listens on the port
        ({"TORCHELASTIC_USE_AGENT_STORE": "True", "JAX_COORDINATOR_PORT": "7000"}, "node0:7000"),
        ({"MASTER_ADDR": "fd00::1"}, "[fd00::1]:29500"),
    ],
)
def test_the_address_of_the_first_process(changes: dict[str, str], expected: str) -> None:
    found = found_by_torchrun({**TWO, **changes})
    assert found is not None
    assert (found.coordinator, found.count, found.index) == (expected, 2, 1)


@pytest.mark.parametrize("environment", [{}, {"RANK": "0"}, {**TWO, "RANK": "0", "WORLD_SIZE": "1"}])
def test_nothing_is_said_about_one_process(environment: dict[str, str]) -> None:
    assert found_by_torchrun(environment) is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE='two'"),
        ({"RANK": "2"}, "RANK=2 must be less than WORLD_SIZE=2"),
        ({"MASTER_ADDR": ""}, "but not MASTER_ADDR"),
        ({"MASTER_PORT": "70000"}, "no port"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        found_by_torchrun({**TWO, **changes})
