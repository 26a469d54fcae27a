"""The page at `/`: try the model in a browser, with nothing from other hosts."""

import base64
import hashlib
import re
from functools import lru_cache
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page() -> HTMLResponse:
    """Answers with the page, which may run its own script, ask this server, and nothing else."""
    text, policy = _page()
    return HTMLResponse(text, headers={"content-security-policy": policy, "x-content-type-options": "nosniff"})


@lru_cache
def _page() -> tuple[str, str]:
    """Returns the page and the policy that names its script by its digest."""
    text = (files("instructor_jax.server") / "page" / "index.html").read_text(encoding="utf-8")
    found = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    script = found[1] if found else ""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy
