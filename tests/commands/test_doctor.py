"""`instructor-jax doctor`: it reports a broken JAX instead of breaking, and names the command that mends things."""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from instructor_jax import requirements
from instructor_jax.commands import diagnosis
from instructor_jax.commands.diagnosis import (
    Finding,
    clash_findings,
    device_findings,
    extra_findings,
    in_units,
    package_findings,
)
from instructor_jax.commands.doctor import report_text
from instructor_jax.commands.surroundings import cache_findings, environment_findings

CPU = {"backend": "cpu", "devices": [{"kind": "cpu", "platform": "cpu", "memory": None}], "matmul_precision": None}


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instructor_jax", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def test_a_machine_that_works():
    result = doctor("--json", JAX_PLATFORMS="cpu", INSTRUCTOR_JAX_CACHE="/cache/of/programs")
    report = json.loads(result.stdout)
    assert (result.returncode, report["usable"]) == (0, True)
    found = {(finding["section"], finding["name"]): finding["value"] for finding in report["findings"]}
    import jax

    assert found["Packages", "jax"].startswith(jax.__version__)
    assert found["Devices", "cpu"]
    assert found["Caches", "compiled programs"].startswith("/cache/of/programs (0 B used")


@pytest.mark.slow
def test_a_jax_that_does_not_start_is_reported():
    result = doctor(JAX_PLATFORMS="nonsense")
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    assert "X jax" in result.stdout
    assert "unset JAX_PLATFORMS (it is 'nonsense')" in result.stdout
    assert "BROKEN: jax" in result.stdout


class Installed:
    """Packages as a test wants them: {name: (version, [requirements])}."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, packages: dict[str, tuple[str, list[str]]]) -> None:
        def version(name: str) -> str:
            if name not in packages:
                raise PackageNotFoundError(name)
            return packages[name][0]

        monkeypatch.setattr(requirements.importlib.metadata, "version", version)
        monkeypatch.setattr(requirements.importlib.metadata, "requires", lambda name: packages[name][1])


def test_unmet_requirements_are_found_at_every_depth(monkeypatch):
    packages = {
        "instructor-jax": ("1", ["jax>=0.10", "gone", 'torch>=2; extra == "torch"', 'jax[cuda13]; extra == "cuda13"']),
        "jax": ("0.10.2", ["jaxlib>=0.10.1", 'jax-cuda13-plugin>=0.10; extra == "cuda13"', 'x; python_version < "3"']),
        "jaxlib": ("0.9.0", []),
    }
    Installed(monkeypatch, packages)
    unmet = requirements.unmet_requirements
    assert unmet("instructor-jax") == [
        "gone (for instructor-jax): not installed",
        "jaxlib>=0.10.1 (for jax): 0.9.0 is installed",
    ]
    assert unmet("instructor-jax", transitive=False) == ["gone (for instructor-jax): not installed"]
    assert "torch>=2 (for instructor-jax): not installed" in unmet("instructor-jax", ("torch",))
    assert "jax-cuda13-plugin>=0.10 (for jax): not installed" in unmet("instructor-jax", ("cuda13",), transitive=False)


def test_a_package_of_a_wrong_version_is_broken_and_an_absent_extra_is_not(monkeypatch):
    packages = {
        "instructor-jax": ("1", ["jax>=0.10", 'torch>=2; extra == "torch"']),
        "jax": ("0.4", []),
        "jaxlib": ("0.4", []),
    }
    Installed(monkeypatch, packages)
    broken = [finding for finding in package_findings() if finding.level == "broken"]
    assert [(finding.value, finding.mend) for finding in broken] == [
        ("jax>=0.10 (for instructor-jax): 0.4 is installed", "pip install 'jax>=0.10'")
    ]
    [extra] = extra_findings(["torch"])
    assert (extra.level, extra.value, extra.mend) == (
        "ok",
        "not complete: torch>=2",
        "pip install 'instructor-jax[torch]'",
    )


@pytest.mark.parametrize(
    ("hardware", "environment", "mend"),
    [
        ({"nvidia"}, {}, "pip install 'instructor-jax[cuda13]'"),
        ({"nvidia"}, {"JAX_PLATFORMS": "cpu"}, "unset JAX_PLATFORMS (it is 'cpu')"),
        ({"tpu"}, {}, "pip install 'instructor-jax[tpu]'"),
        ({"tpu"}, {"JAX_PLATFORMS": "cpu"}, "unset JAX_PLATFORMS (it is 'cpu')"),
    ],
)
def test_an_accelerator_that_jax_does_not_use_is_noted(hardware, environment, mend):
    notes = [finding for finding in device_findings(CPU, frozenset(hardware), environment) if finding.level == "note"]
    assert [note.mend for note in notes] == [mend]


def test_a_gpu_in_use_is_shown_with_its_memory():
    device = {"kind": "NVIDIA H200", "platform": "gpu", "memory": 100 * 2**30}
    findings = device_findings({**CPU, "backend": "gpu", "devices": [device]}, frozenset({"nvidia"}), {})
    assert findings[0] == Finding("Devices", "gpu", "NVIDIA H200, 100.0 GiB memory")
    assert all(finding.level == "ok" for finding in findings)


def test_known_clashes(monkeypatch):
    jax_needs = ['jax-cuda13-plugin[with-cuda]==0.10.2; extra == "cuda13"']
    packages = {
        "jax": ("0.10.2", jax_needs),
        "jax-cuda13-plugin": ("0.10.2", ['nvidia-cudnn-cu13>=9.8; extra == "with-cuda"']),
        "nvidia-cudnn-cu13": ("9.1", []),
        "torch": ("2.9.0", []),
        "tensorflow": ("2.19", []),
        "libtpu": ("0.0.42", []),
    }
    Installed(monkeypatch, packages)
    findings = {f.name: f for f in clash_findings(frozenset({"nvidia"}), {"LD_LIBRARY_PATH": "/usr/local/cuda/lib64"})}
    assert set(findings) == {"jax-cuda13-plugin", "LD_LIBRARY_PATH", "torch", "tensorflow", "libtpu"}
    assert findings["jax-cuda13-plugin"].level == "broken"
    assert "9.1 is installed" in findings["jax-cuda13-plugin"].value
    assert findings["libtpu"].mend == "export JAX_PLATFORMS=cpu"
    without_gpu = clash_findings(frozenset({"tpu"}), {"JAX_PLATFORMS": "tpu"})[0]
    assert (without_gpu.name, without_gpu.level) == ("jax-cuda13-plugin", "note")  # it compiles plans all the same
    packages.clear()
    assert clash_findings(frozenset(), {"LD_LIBRARY_PATH": "/usr/local/cuda/lib64"}) == []


def test_caches_are_where_the_environment_says(tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "file").write_bytes(b"x" * 2048)
    environment = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    models, offline, programs = cache_findings(environment, {"programs": str(tmp_path / "programs")})
    assert models.value.startswith(f"{tmp_path / 'hub'} (2.0 KiB used, ")
    assert (offline.level, offline.mend) == ("note", "unset HF_HUB_OFFLINE")
    assert programs.value.startswith(str(tmp_path / "programs"))
    assert cache_findings(environment, {"programs": None})[-1].mend == "unset INSTRUCTOR_JAX_CACHE"
    assert len(cache_findings(environment, {"error": "JAX does not start"})) == 2


def test_a_cache_that_cannot_be_written_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(diagnosis.os, "access", lambda path, mode: False)
    assert cache_findings({"HF_HOME": str(tmp_path)}, {"programs": None})[0].level == "note"


def test_secrets_are_not_shown():
    findings = environment_findings({"HF_TOKEN": "hf_secret", "JAX_PLATFORMS": "cpu", "HOME": "/home"})
    assert [(finding.name, finding.value) for finding in findings] == [("HF_TOKEN", "(set)"), ("JAX_PLATFORMS", "cpu")]


def test_the_report_by_hand():
    findings = [
        Finding("A", "one", "fine"),
        Finding("B", "second", "bad", "broken", "mend it"),
        Finding("B", "c", "hm", "note"),
    ]
    assert report_text(findings).splitlines() == [
        "A",
        "   one     fine",
        "",
        "B",
        " X second  bad",
        "           > mend it",
        " ! c       hm",
        "",
        "BROKEN: second; see X above. Notes (!): 1.",
    ]


def test_units():
    assert [in_units(size) for size in (0, 1023, 1024, 3 * 2**30, 5 * 2**40)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "3.0 GiB",
        "5.0 TiB",
    ]
