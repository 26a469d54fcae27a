"""`instructor-jax doctor`: what is installed, what JAX computes on, what is missing, and the command that mends it."""

import dataclasses
import importlib.metadata
import os
from typing import Annotated

from cyclopts import Parameter

from instructor_jax.commands.console import say, say_json
from instructor_jax.commands.device_probe import probe_devices
from instructor_jax.commands.diagnosis import (
    Finding,
    accelerators,
    clash_findings,
    device_findings,
    extra_findings,
    package_findings,
    system_findings,
)
from instructor_jax.commands.streams import clean
from instructor_jax.commands.surroundings import cache_findings, environment_findings
from instructor_jax.requirements import installed_version


def doctor(*, json_output: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Report versions, devices, caches, and what is missing, with the commands that mend it.

    Exits with 0 where texts can be encoded, with 1 where something is broken.

      instructor-jax doctor
      instructor-jax doctor --json > report.json

    Args:
        json_output: Print JSON for machines.
    """
    findings = diagnose()
    broken = sum(finding.level == "broken" for finding in findings)
    if json_output:
        say_json({"usable": not broken, "findings": [dataclasses.asdict(f) for f in findings]})
    else:
        say(report_text(findings))
    return 1 if broken else 0


def diagnose() -> list[Finding]:
    """All findings on this machine, in the order of the report, without secrets. Starts JAX in a process of its own."""
    hardware, probe = accelerators(), probe_devices()
    installed = installed_version("instructor-jax") is not None
    extras = (importlib.metadata.metadata("instructor-jax").get_all("Provides-Extra") or []) if installed else []
    findings = [
        *system_findings(),
        *package_findings(),
        *extra_findings(extras),
        *device_findings(probe, hardware, os.environ),
        *clash_findings(hardware, os.environ),
        *cache_findings(os.environ, probe),
        *environment_findings(os.environ),
    ]
    # A message of JAX or a folder's name may quote a variable.
    return [dataclasses.replace(f, value=clean(f.value), mend=clean(f.mend)) for f in findings]


def report_text(findings: list[Finding]) -> str:
    """The findings under their headings; "!" marks notes, "X" what is broken, ">" the command that mends it."""
    lines, section = [], None
    widest = max(len(finding.name) for finding in findings)
    for finding in findings:
        if finding.section != section:
            lines += ["", finding.section]
            section = finding.section
        mark = {"ok": " ", "note": "!", "broken": "X"}[finding.level]
        lines.append(f" {mark} {finding.name:<{widest}}  {finding.value}")
        if finding.mend:
            lines.append(f"   {'':<{widest}}  > {finding.mend}")
    broken = [finding for finding in findings if finding.level == "broken"]
    notes = sum(finding.level == "note" for finding in findings)
    verdict = (
        f"BROKEN: {', '.join(finding.name for finding in broken)}; see X above." if broken else "Texts can be encoded."
    )
    return "\n".join([*lines[1:], "", verdict + (f" Notes (!): {notes}." if notes else "")])
