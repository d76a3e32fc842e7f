"""Blocking calls work wherever they are made."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from a3s_code.api.portal import portal

colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


async def which_thread() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


def test_all_calls_share_one_loop_thread() -> None:
    names = {portal().call(which_thread) for _ in range(3)}
    assert names == {"a3s-code-loop-0"}


async def test_a_call_works_inside_a_running_loop() -> None:
    assert portal().call(which_thread) == "a3s-code-loop-0"


def test_a_call_on_the_private_loop_itself_goes_one_level_down() -> None:
    async def outer() -> tuple[str, str]:
        return await which_thread(), portal().call(which_thread)

    assert portal().call(outer) == ("a3s-code-loop-0", "a3s-code-loop-1")


def test_context_variables_go_along() -> None:
    async def look() -> str:
        return colour.get()

    token = colour.set("red")
    try:
        assert portal().call(look) == "red"
    finally:
        colour.reset(token)


def test_an_exception_comes_back_as_it_was() -> None:
    async def fail() -> None:
        raise LookupError("not here")

    with pytest.raises(LookupError, match="not here"):
        portal().call(fail)


def test_many_threads_may_call_at_once() -> None:
    results: list[int] = []

    def work(number: int) -> None:
        async def double() -> int:
            await asyncio.sleep(0.001)
            return number * 2

        results.append(portal().call(double))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [number * 2 for number in range(20)]


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_of_a_fork_gets_a_loop_of_its_own() -> None:
    done = run_script("""
        import os, warnings
        from a3s_code.api.portal import portal
        warnings.simplefilter("ignore")
        async def pid():
            return os.getpid()
        assert portal().call(pid) == os.getpid()
        child = os.fork()
        if child == 0:
            os._exit(0 if portal().call(pid) == os.getpid() else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    assert done.stdout.strip() == "0", done.stderr


def test_ctrl_c_cancels_the_coroutine_waits_for_its_end_and_goes_on() -> None:
    done = run_script(f"""
        import asyncio, os, signal, threading, time
        from a3s_code.api.portal import portal
        async def work():
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.2)
                print("cleaned up", flush=True)
        threading.Timer(0.5, os.kill, (os.getpid(), {signal.SIGINT.value})).start()
        try:
            portal().call(work)
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert done.stdout.split("\n")[:2] == ["cleaned up", "interrupted"], done.stderr
