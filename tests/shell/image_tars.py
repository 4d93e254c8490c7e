#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes an odd archive to stdout: image_tars.py NAME [ARG].

What GNU tar makes is left to GNU tar; here is what it never would make, or
only under another user, on another host, or with files nobody has.
"""
import io
import os
import random
import sys
import tarfile


def entry(name, kind=tarfile.REGTYPE, **more):
    t = tarfile.TarInfo(name)
    t.type = kind
    t.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    t.mtime = 1000000000
    for key, value in more.items():
        setattr(t, key, value)
    return t


def write(entries, fmt=tarfile.PAX_FORMAT, out=None, **more):
    """entries: TarInfo, or (TarInfo, bytes)"""
    # Not straight to stdout: tarfile wants to seek.
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=fmt, **more) as tar:
        for e in entries:
            info, data = e if isinstance(e, tuple) else (e, b"")
            info.size = len(data) or info.size
            tar.addfile(info, io.BytesIO(data) if data else None)
    (out or sys.stdout.buffer).write(raw.getvalue())


def archive(entries, **more):
    out = io.BytesIO()
    write(entries, out=out, **more)
    return out.getvalue()


# ---- good ones ----


def kinds(fmt):
    """What only root could put into a folder."""
    write(
        [
            entry("dir", tarfile.DIRTYPE, mode=0o1777, uid=70000, gid=2097151),
            (entry("dir/suid", mode=0o6755, uid=1, gid=2), b"x" * 5000),
            entry("dir/hard", tarfile.LNKTYPE, linkname="dir/suid"),
            entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3),
            entry("big", tarfile.BLKTYPE, devmajor=259, devminor=70000),
            entry("fifo", tarfile.FIFOTYPE, mode=0o600),
            entry("link", tarfile.SYMTYPE, linkname="/abs/../target"),
        ],
        fmt=int(fmt),
    )


def times():
    """Seconds at the borders of 32 and 34 bits, and fractions."""
    write(
        [
            entry("t%d" % k, pax_headers={"mtime": t})
            for k, t in enumerate(
                [
                    "-2147483648",
                    "-1.5",
                    "0",
                    "0.000000001",
                    "2147483647.999999999",
                    "2147483648",
                    "4294967296.25",
                    "15032385535",
                ]
            )
        ]
    )


def caps():
    """Attributes, one of them large enough for a block of its own."""
    write(
        [
            (
                entry(
                    "file",
                    pax_headers={
                        "SCHILY.xattr.user.small": "val",
                        "SCHILY.xattr.user.large": "v" * 3900,
                        "SCHILY.xattr.security.capability": "\x01\0\0\x02"
                        + "\x01" * 16,
                    },
                ),
                b"data",
            )
        ]
    )


def owner(uid, gid):
    write([entry(".", tarfile.DIRTYPE), entry("f", uid=int(uid), gid=int(gid))])


def twice():
    """Later wins: content, kind, a folder's mode; a hard link goes on."""
    write(
        [
            entry("d", tarfile.DIRTYPE, mode=0o700),
            (entry("d/f"), b"first"),
            entry("d/h", tarfile.LNKTYPE, linkname="d/f"),
            (entry("k"), b"a file"),
            (entry("d/f"), b"second, longer"),
            entry("k", tarfile.SYMTYPE, linkname="d"),
            entry("d", tarfile.DIRTYPE, mode=0o711),
        ]
    )


def orphans():
    """No folder is told of."""
    write([(entry("a/b/c/f"), b"1"), (entry("a/g"), b"2")])


def folder(n, length):
    """One folder of n names of a length."""
    write(
        [entry("d/" + str(k).ljust(int(length), "x")) for k in range(int(n))],
        fmt=tarfile.USTAR_FORMAT if int(length) < 90 else tarfile.GNU_FORMAT,
    )


def edge(last):
    """A folder whose entries fill one block, or nearly."""
    names = ["%02d" % k + "x" * 250 for k in range(15)]
    names.append("z" * int(last))
    write([entry("d/" + n) for n in names])


def names():
    odd = ["sp ace", "new\nline", "tab\t", "\x7f", "ü", "日本", "\\", "'\"",
           "-rf", "..x", "x..", "...", "*", "n" * 255]
    write([(entry("o/" + n), n.encode()) for n in odd])


def subfolders(n):
    write([entry("d/%05d" % k, tarfile.DIRTYPE) for k in range(int(n))],
          fmt=tarfile.USTAR_FORMAT)


def many(kind, n, per):
    """n empty files, folders or files of a byte, so many in each folder; as fast as may be."""
    what = tarfile.DIRTYPE if kind == "folder" else tarfile.REGTYPE
    data = b"x" if kind == "small" else b""
    raw = bytearray(archive([(entry("x" * 16, what), data)],
                            fmt=tarfile.USTAR_FORMAT)[: 1024 if data else 512])
    raw[:100] = bytes(100)
    bare = sum(fix_sum(raw, 0)[:148]) + sum(raw[156:512]) + 8 * 32
    put = sys.stdout.buffer.write
    for k in range(int(n)):
        name = b"%05d/%06d" % (k // int(per), k)
        raw[:12] = name
        raw[148:155] = b"%06o\0" % (bare + sum(name))
        put(raw)
    put(bytes(1024))


def stripes(n):
    """Blocks with as many holes between them."""
    write([(entry("f"), (b"q" * 4096 + b"\0" * 4096) * int(n))])


def shuffled(path, seed):
    """The entries of an archive in another order, hard links kept behind."""
    with tarfile.open(path) as tar:
        found = []
        for t in tar:
            data = tar.extractfile(t).read() if t.isreg() else b""
            # Python has read these into fields; they would be written twice.
            t.pax_headers = {
                k: v for k, v in t.pax_headers.items() if ".xattr." in k
            } | {"mtime": t.pax_headers.get("mtime", str(t.mtime))}
            found.append((t, data))
    random.Random(int(seed)).shuffle(found)
    found.sort(key=lambda e: e[0].islnk())
    write(found)


# ---- bad ones ----


def link_parent():
    """Through a symbolic link to somewhere else."""
    write([entry("l", tarfile.SYMTYPE, linkname="/etc"), (entry("l/x"), b"x")])


def link_parent_inside():
    write([entry("d", tarfile.DIRTYPE),
           entry("l", tarfile.SYMTYPE, linkname="d"), (entry("l/x"), b"x")])


def hard(target):
    write([(entry("f"), b"x"), entry("h", tarfile.LNKTYPE, linkname=target)])


def named(name):
    """Python's tarfile would tidy the name; a header does not."""
    raw = bytearray(archive([(entry("X" * 20), b"data")],
                            fmt=tarfile.USTAR_FORMAT))
    raw[:100] = os.fsencode(name).ljust(100, b"\0")
    sys.stdout.buffer.write(fix_sum(raw, 0))


def fix_sum(raw, at):
    raw[at + 148 : at + 156] = b" " * 8
    raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + 512])
    return raw


def field(offset, value):
    """One field of a header changed, the check sum right."""
    raw = bytearray(archive([(entry("file"), b"data")]))
    value = bytes.fromhex(value)
    raw[int(offset) : int(offset) + len(value)] = value
    sys.stdout.buffer.write(fix_sum(raw, 0))


def pax(key, value):
    write([(entry("file", pax_headers={key: value}), b"data")])


def pax_loop():
    """Headers about headers, without an end."""
    head = archive([entry("f", pax_headers={"comment": "c"})])[:1024]
    sys.stdout.buffer.write(head * 1000)


def folder_gone():
    write([(entry("d/f"), b"x"), (entry("d"), b"y")])


def device(major, minor):
    write([entry("dev", tarfile.CHRTYPE, devmajor=int(major),
                 devminor=int(minor))], fmt=tarfile.GNU_FORMAT)


def mixed():
    """Some of everything, small: to be cut and damaged."""
    write(
        [
            entry("d", tarfile.DIRTYPE),
            (entry("d/" + "n" * 120), b"some data" * 300),
            (entry("f", pax_headers={"SCHILY.xattr.user.a": "b"}), b"x" * 700),
            entry("l", tarfile.SYMTYPE, linkname="t" * 150),
            entry("h", tarfile.LNKTYPE, linkname="f"),
            (
                entry("s", pax_headers={"GNU.sparse.size": "9000",
                                        "GNU.sparse.map": "0,3,8000,4"}),
                b"abcdefg",
            ),
        ]
    )


def damaged(path, seed):
    """Some bytes of an archive changed; headers get right sums again."""
    with open(path, "rb") as f:
        raw = bytearray(f.read())
    r = random.Random(int(seed))
    for _ in range(r.randrange(1, 6)):
        at = r.randrange(len(raw))
        raw[at] = r.choice([0, 255, 48, 55, 128, r.randrange(256)])
        head = at - at % 512
        if raw[head + 257 : head + 262] == b"ustar":
            fix_sum(raw, head)
    sys.stdout.buffer.write(raw)


globals()[sys.argv[1]](*sys.argv[2:])
