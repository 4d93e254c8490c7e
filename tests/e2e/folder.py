# SPDX-License-Identifier: MIT
"""What a suite has of its own, so that others may run beside it: a folder in RAM."""

import atexit
import glob
import os
import shutil
import tempfile

IN_LAB = "HUSK_IN_LAB" in os.environ
# Ours alone: other suites may run beside us, and what is theirs is no leak of
# ours. Python's own temporary files lie there, too.
FOLDERS = "/dev/shm/husk-e2e-"
FOLDER = FOLDERS + str(os.getpid())


def make_folder():
    for left in glob.glob(FOLDERS + "*[0-9]"):
        if left == FOLDER or not os.path.exists("/proc/" + left[len(FOLDERS):]):
            shutil.rmtree(left, ignore_errors=True)
    os.mkdir(FOLDER)
    atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
    tempfile.tempdir = FOLDER


make_folder()


def ram_copy(src):
    """A copy of a build product in RAM: the lab reads files over a wire.

    There the next suite finds it again. In our folder it is a link of our own,
    so that a husk of ours is known by its path. Asked again, the same one.
    """
    dst = os.path.join(FOLDER, os.path.basename(src))
    if os.path.exists(dst):
        return dst
    if not IN_LAB:
        return shutil.copy(src, dst)
    st = os.stat(src)
    kept = "%scache/%s-%d-%d" % (FOLDERS, os.path.basename(src), st.st_mtime_ns, st.st_size)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    if not os.path.exists(kept):
        shutil.copy(src, dst)
        os.rename(dst, kept)
    os.link(kept, dst)
    return dst


def is_foreign(path):
    """A file that comes and goes without us: another suite's, and on a machine with other work all but husk's."""
    if path.startswith(FOLDERS):
        return not path.startswith(FOLDER + "/")
    return not IN_LAB and "husk" not in path
