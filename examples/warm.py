# SPDX-License-Identifier: MIT
"""A Python that has loaded its modules already: the warm command of a template.

    husk template create -o python.husk --warm python3 -c "$(cat examples/warm.py)"
    husk run --template python.husk <program.py

What is slow happens once, in the template. Each copy then gets a program on
stdin, seeds anew what Python keeps of its own, and runs it as the main module:
its output, its result stream and its exit status are the job's.
"""
import decimal, json, random, re, subprocess, unittest  # noqa: what jobs use
import atexit
import gc
import os
import sys
import threading
import traceback


def wait_for_go():
    """Say that we are warm; come back in a copy, with new randomness.

    The kernel's own is new by itself, and with it os.urandom, secrets, uuid4
    and ssl's generator (OpenSSL sees a fork of the machine as little as we do:
    RAND_add these bytes where it may have been used before).
    """
    gc.collect()
    gc.freeze()  # what is loaded now stays: collections need not look at it
    os.write(int(os.environ["HUSK_READY_FD"]), b".")
    random.seed(os.read(int(os.environ["HUSK_SEED_FD"]), 32))


def run(program):
    """Run a program's text as python3 would, and return its exit status."""
    names = {"__name__": "__main__", "__builtins__": __builtins__}
    try:
        exec(compile(program, "<stdin>", "exec"), names)
    except SystemExit as e:
        if e.code is None or isinstance(e.code, int):
            return (e.code or 0) & 255
        print(e.code, file=sys.stderr)
        return 1
    except BaseException:
        kind, value, where = sys.exc_info()
        traceback.print_exception(kind, value, where.tb_next)
        return 1
    return 0


def end(status):
    """End as python3 does, but without taking the modules apart.

    That would write to most of their memory, and each page that a copy writes
    to for the first time has to be made.
    """
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:
        status = 120
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    wait_for_go()
    end(run(sys.stdin.buffer.read()))
