"""Whether the Hugging Face hub answers, asked once: otherwise each of MTEB's tasks would try for half a minute."""

import http.client
import logging
import os
import re
import sys
import urllib.error
import urllib.request

logger: logging.Logger = logging.getLogger(__name__)

_FLAG = "HF_HUB_OFFLINE"
_TRUE = ("1", "ON", "YES", "TRUE")


def offline_unless_reachable(timeout: float = 10.0) -> bool:
    """Puts the hub's libraries into their offline mode if it does not answer: then only their caches are used.

    Args:
        timeout: seconds to wait for an answer.

    Returns:
        Whether the hub can be used.
    """
    if os.environ.get(_FLAG, "").upper() in _TRUE:
        return False
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        if not endpoint.startswith(("https://", "http://")):
            raise ValueError("it is no address of a web site")
        with urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=timeout):
            return True
    except urllib.error.HTTPError:  # an answer, if not a kind one
        return True
    except (OSError, ValueError, http.client.HTTPException) as error:
        shown = re.sub(r"//[^/@]*@", "//", endpoint)  # without a user's name and password
        reason = str(error).replace(endpoint, shown)
        logger.warning("%s cannot be reached (%s); only data and models in the local cache are used", shown, reason)
    os.environ[_FLAG] = "1"
    for name in ("huggingface_hub.constants", "datasets.config"):  # imported already, they do not look again
        if name in sys.modules:
            setattr(sys.modules[name], _FLAG, True)
    return False
