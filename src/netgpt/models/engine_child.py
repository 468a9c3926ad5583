"""The process that holds the built-in model: `python -m netgpt.models.engine_child`, started by `EngineProcess`.

One JSON line of settings comes in on stdin, one JSON line goes out on stdout: `{"address": ...}` or
`{"error": ...}`. Then it serves until stdin ends or its parent is gone, so that a killed gateway leaves no
orphan. llama.cpp's own lines go to stderr.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

PARENT_CHECK_S = 1.0


def main() -> None:
    """Serve until the parent lets go."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the gateway, which drains and then ends this
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not break the one line
    settings = json.loads(sys.stdin.buffer.readline() or b"{}")
    try:
        server = _serve(settings)
    except (RuntimeError, ValueError, MemoryError, ImportError, OSError) as error:
        _reply(answer, {"error": f"{type(error).__name__}: {error}"})
        sys.exit(1)  # with the clean-up: llama.cpp's log is written by a thread, and its last words say why
    _reply(answer, {"address": server.listening_address})
    _wait_for_end(parent)
    os._exit(0)  # no clean-up: an answer still being written is nobody's any more


def _reply(answer: Any, line: dict[str, str]) -> None:
    try:
        answer.write(json.dumps(line) + "\n")
        answer.flush()
    except BrokenPipeError:
        os._exit(1)


def _wait_for_end(parent: int) -> None:
    """Return when stdin ends, or when the parent is gone although another process keeps stdin open."""
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], PARENT_CHECK_S)
        if readable and not os.read(0, 4096):
            return


def _cores() -> int:
    """Physical cores that this process may use; hyper-threads of one core count once."""
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings.read_text() if siblings.exists() else str(cpu))
    return max(1, len(cores))


def _serve(settings: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {settings["alias"]}  # else the answers would name the file's path
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [settings["api_key"]]
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["context_tokens"] * settings["slots"]  # llama.cpp splits it evenly over the slots
    # Reading a prompt takes every core; writing leaves one to the gateway, because a thread that has to wait for
    # a core holds all the others up at each of a token's several hundred steps.
    params.cpuparams_batch.n_threads = settings["threads"] or _cores()
    params.cpuparams.n_threads = settings["threads"] or max(1, _cores() - 1)
    params.cache_prompt = True
    params.cache_ram_mib = 0  # no second prompt cache: by default it may grow to 8 GiB
    params.fit_params = False  # the owner's figures hold; nothing is shrunk behind their back
    params.ui = params.ui_mcp_proxy = params.endpoint_props = False
    params.endpoint_slots = params.endpoint_metrics = True
    params.cors_origins = ""  # no web page is a client of this server
    params.offline = True
    params.embedding = True  # does not slow chat down, and /v1/embeddings works
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.verbosity = 2  # warnings and errors: no prompt text ever stands in the log
    params.enable_reasoning = -1 if settings.get("thinking") else 0  # -1: as the template does by itself
    if settings.get("chat_template"):
        params.chat_template = settings["chat_template"]
    params.lora_adapters = [
        xllamacpp.CommonAdapterLoraInfo(path, scale) for path, scale in settings.get("adapters", ())
    ]
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
