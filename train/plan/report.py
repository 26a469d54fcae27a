"""A plan for people: one of them on a terminal, several as a table."""

from collections.abc import Sequence

from instructor_jax import markdown

from ..chips import chip_of
from .memory import Memory
from .record import Plan

_GIB = 2**30
# The option of XLA for TPUs above whose size, in MiB, products are cut into parts that overlap with what they need; on
# v5p a step of xl takes 2.4 times as long by its bound with them (docs/scale.md).
_WHOLE_PRODUCTS = "xla_jf_spmd_threshold_for_windowed_einsum_mib=1000000"
_MANY_PIECES = 1000  # runs; other exchanges between two devices are a few


def report(plan: Plan, price: float | None = None) -> str:
    """Returns everything that a plan says, in lines of a terminal.

    Args:
        plan: The plan.
        price: Price of a chip for an hour, in any currency; None for no costs.
    """
    parts = [_head(plan), _chosen(plan), _memory(plan), _work(plan), _exchanges(plan), _bound(plan)]
    parts += [_thousand_steps(plan, price), _faults(plan)]
    return "\n\n".join(part for part in parts if part)


def lines_of_others(plans: Sequence[Plan]) -> str:
    """Returns a line for each program that a run needs besides its step: whether it fits, and what it takes."""
    return "\n".join(_other(plan) for plan in plans)


def _other(plan: Plan) -> str:
    memory = plan.memory
    if memory is None:
        return f"{plan.what:11} the compiler refused it and does not say what it would take: does NOT fit"
    parts = [
        ("weights and texts", memory.arguments),
        ("lie beside", memory.beside),
        ("temporaries", memory.temporaries),
    ]
    parts.append(("results", memory.results - memory.shared))
    told = ", ".join(f"{what} {size / _GIB:.2f}" for what, size in parts if size)
    host = (
        f"; the host holds {plan.host / _GIB:.2f} GiB of weights at a time"
        if plan.host
        else "; the host holds no weights"
    )
    return f"{plan.what:11} {verdict(memory)} ({told}){host}; {plan.sent / 1e9:,.2f} GB sent a call"


def _head(plan: Plan) -> str:
    mesh = " x ".join(f"{name} {size}" for name, size in plan.mesh.items())
    settings = ", ".join(f"{name}={value}" for name, value in plan.settings.items())
    return (
        f"{plan.what} on {plan.topology}: {plan.devices} x {plan.kind}, mesh {mesh}\n{settings}\n"
        f"compiled in {plan.seconds:.0f} s; all figures are of one device, those of the bound are predictions"
    )


def _chosen(plan: Plan) -> str:
    if not plan.chosen:
        return ""
    settings, *told = plan.chosen
    return "\n".join([f"chosen      {settings}", *(f"  {one}" for one in told)])


def _memory(plan: Plan) -> str:
    memory = plan.memory
    if memory is None:
        return "memory: unknown"
    refused = not plan.traffic
    lines = [f"memory      {verdict(memory)}", f"  arguments   {_gib(memory.arguments)}"]
    if refused:
        lines += [f"  temporaries {_gib(memory.temporaries)}   (the compiler refused the program)"]
    else:
        lines += [
            f"  results     {_gib(memory.results)}, of which {_gib(memory.shared)} lie where arguments were",
            f"  temporaries {_gib(memory.temporaries)}",
            f"  program     {_gib(memory.code)}",
        ]
    lines += [f"  peak        {_gib(memory.total)}"]
    lines += ["  largest arrays" + (" before the compiler fuses any" if refused else "") + ", what shrinks them:"]
    lines += [f"    {_gib(one.bytes)} {one.shape} x {one.count}: {one.what} ({one.shrink})" for one in plan.buffers]
    return "\n".join(lines)


def verdict(memory: Memory) -> str:
    """Returns whether it fits, and by how much."""
    if memory.available is None:
        return f"{memory.total / _GIB:.2f} GiB; nobody knows what the device has"
    told = f"{memory.total / _GIB:.2f} of {memory.available / _GIB:.2f} GiB"
    if memory.fits:
        return f"{told}: fits"
    return f"{told}: does NOT fit, {(memory.total - memory.available) / _GIB:.2f} GiB too much"


def _work(plan: Plan) -> str:
    if not plan.traffic:
        return ""
    told = f"arithmetic  {plan.operations / 1e12:,.2f} Tflop of matrix products\n"
    if plan.opaque:
        told += f"            {plan.opaque} runs of kernels that do not tell theirs are left out\n"
    return f"{told}traffic     {plan.traffic / 1e9:,.1f} GB to and from memory"


def _exchanges(plan: Plan) -> str:
    if not plan.exchanges:
        return "collectives none" if plan.traffic else ""
    lines = [f"collectives {plan.sent / 1e9:,.2f} GB sent"]
    lines += [
        f"  {one.kind:18} {one.runs:7,} x {one.bytes / 1e6:10,.2f} MB among {one.participants:4}"
        f"  {one.sent / 1e9:9,.3f} GB  {'between slices: ' if one.slices > 1 else ''}{one.arrays}"
        for one in plan.exchanges
    ]
    pieces = sum(one.runs for one in plan.exchanges if one.kind == "collective-permute")
    if pieces > _MANY_PIECES and plan.kind.startswith("TPU"):
        lines += [
            "  products are made in parts while weights travel, and all parts go through memory; where memory limits,",
            "  whole ones may be faster:",
            f"  'compiler.flags=[\"{_WHOLE_PRODUCTS}\"]'",
        ]
    return "\n".join(lines)


def _bound(plan: Plan) -> str:
    roofline, chip = plan.roofline, chip_of(plan.kind)
    if roofline is None or chip is None:
        return f"bound       no datasheet of {plan.kind!r}" if plan.traffic else ""
    return "\n".join(
        [
            f"bound       {_time(roofline.bound)} a call at least, limited by {roofline.limited_by}: everything "
            "overlaps, all links work",
            f"            {_time(roofline.one_by_one)} if nothing overlaps, on the links that each exchange can use, "
            "with latency",
            "            kernels below the peak take longer than either",
            f"  arithmetic {_time(roofline.arithmetic)}, memory {_time(roofline.memory)}, "
            f"interconnect {_time(roofline.interconnect)} to {_time(roofline.exchange)}"
            + (f", between slices {_time(roofline.network)}" if roofline.network else ""),
            f"  at most {roofline.tokens_per_second:,.0f} tokens/s of all devices, {plan.fill:.1%} of them real: "
            f"{plan.real_tokens_per_second:,.0f}",
            f"  MFU at most {roofline.mfu:.1%}, {roofline.mfu_one_by_one:.1%} if nothing overlaps (useful operations "
            "on real tokens, of the bf16 peak)",
            f"  {chip.name}: {chip.flops / 1e12:,.0f} Tflop/s, memory {chip.memory / 1e9:,.0f} GB/s, sends "
            f"{chip.interconnect / 1e9:,.0f} GB/s"
            + (f", between slices {chip.network / 1e9:.4g} GB/s" if roofline.network else "")
            + f" ({chip.source})",
        ]
    )


def _thousand_steps(plan: Plan, price: float | None) -> str:
    roofline, chip = plan.roofline, chip_of(plan.kind)
    if roofline is None or chip is None:
        return ""
    least, most = (1000 * seconds / 3600 for seconds in (roofline.bound, roofline.one_by_one))
    lines = [f"1,000 calls {least:,.3g} to {most:,.3g} hours by this bound"]
    if price is not None:
        chips = round(roofline.peak / chip.flops)
        lines += [
            f"  at {price:g} for a chip and hour: {least * chips * price:,.2f} to {most * chips * price:,.2f} for "
            f"{chips} chips"
        ]
    return "\n".join(lines)


def _faults(plan: Plan) -> str:
    return "\n".join(["sharding faults:", *(f"  {fault}" for fault in plan.faults)]) if plan.faults else ""


def table(plans: Sequence[Plan]) -> str:
    """Returns a line of Markdown for each plan."""
    return markdown.table(_HEADS, [_cells(plan) for plan in plans])


_HEADS = (
    "topology", "data x fsdp x tensor", "groups x rows x length", "chunks", "remat",
    "arguments", "temporaries", "total", "GiB there", "fits", "Tflop", "traffic", "sent",
    "step, bound", "limited by", "MFU at most", "tokens/s", "compiled",
)  # fmt: skip


def _cells(plan: Plan) -> list[str]:
    memory, roofline, settings = plan.memory, plan.roofline, plan.settings
    cells = [plan.topology, " x ".join(str(size) for size in plan.mesh.values())]
    cells.append(f"{settings['groups']:,} x {settings['rows']:,} x {settings['length']:,}")
    cells += [str(settings.get("chunks", "")), str(settings.get("remat", ""))]
    if memory is None:
        cells += ["", "", "", "", "no"]
    else:
        sizes = (memory.arguments, memory.temporaries, memory.total, memory.available)
        cells += ["?" if size is None else f"{size / _GIB:.2f}" for size in sizes]
        cells.append("yes" if memory.fits else "no")
    if plan.traffic:
        cells += [f"{plan.operations / 1e12:,.1f}", f"{plan.traffic / 1e9:,.0f} GB", f"{plan.sent / 1e9:,.1f} GB"]
    else:
        cells += ["", "", ""]
    if roofline is None:
        cells += ["", "", "", ""]
    else:
        cells += [_time(roofline.bound), roofline.limited_by, f"{roofline.mfu:.0%}"]
        cells.append(f"{roofline.tokens_per_second:,.0f}")
    return [*cells, f"{plan.seconds:.0f} s"]


def _gib(size: int) -> str:
    return f"{size / _GIB:8.3f} GiB"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"
