#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Everything that is to be kept of a tree, one line per name.

    image_manifest.py dir FOLDER      as lstat and friends see it
    image_manifest.py image FILE      as debugfs sees it, and nothing of ours

Both print the same lines for the same tree. File data is read block by block
where the image's extents say it is; blocks that are all zero must not be
stored, so the number of stored blocks is part of the line.

Options leave out what an archive format cannot keep: --no-ns, --no-xattrs,
--no-sockets. The root is listed as "."; names are printed as Python strings.
"""
import argparse
import hashlib
import os
import re
import stat
import struct
import subprocess
import sys

BLOCK = 4096


class File:
    def __init__(self):
        self.mode = self.uid = self.gid = self.size = self.mtime = 0
        self.links = 0
        self.rdev = None
        self.target = None
        self.blocks = 0
        self.digest = None
        self.xattrs = {}
        self.key = None  # which inode


def hash_blocks(blocks):
    """blocks: (number, bytes) of those that are not all zero, ascending."""
    h = hashlib.sha256()
    n = 0
    for number, data in blocks:
        h.update(b"%d:" % number)
        h.update(data)
        n += 1
    return h.hexdigest()[:16], n


# ---- a folder ----


def data_blocks(path, size):
    with open(path, "rb") as f:
        at = 0
        while at < size:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            at -= at % BLOCK
            while at < end:
                data = os.pread(f.fileno(), BLOCK, at).ljust(BLOCK, b"\0")
                if data.strip(b"\0"):
                    yield at // BLOCK, data
                at += BLOCK


def read_path(path):
    st = os.lstat(path)
    f = File()
    f.mode, f.uid, f.gid = st.st_mode, st.st_uid, st.st_gid
    f.mtime, f.links = st.st_mtime_ns, st.st_nlink
    f.key = (st.st_dev, st.st_ino)
    for name in os.listxattr(path, follow_symlinks=False):
        f.xattrs[name] = os.getxattr(path, name, follow_symlinks=False)
    if stat.S_ISREG(f.mode):
        f.size = st.st_size
        f.digest, f.blocks = hash_blocks(data_blocks(path, f.size))
    elif stat.S_ISLNK(f.mode):
        f.target = os.readlink(os.fsencode(path))
    elif stat.S_ISCHR(f.mode) or stat.S_ISBLK(f.mode):
        f.rdev = (os.major(st.st_rdev), os.minor(st.st_rdev))
    return f


def read_dir(root):
    files = {".": read_path(root)}
    for folder, dirs, names in os.walk(root):
        for name in dirs + names:
            path = os.path.join(folder, name)
            files[os.path.relpath(path, root)] = read_path(path)
    return files


# ---- an image ----


def debugfs(image, commands):
    text = "".join(c + "\n" for c in commands)
    p = subprocess.run(
        ["debugfs", "-f", "/dev/stdin", image],
        input=text.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=True,
    )
    # Each command is echoed; its output follows.
    parts = re.split(rb"(?m)^debugfs: (.*)\n", p.stdout)[1:]
    return dict(zip((c.decode() for c in parts[::2]), parts[1::2]))


def list_folder(image, inos):
    """{ino: [(name, ino)]}"""
    got = debugfs(image, ["ls -p <%d>" % i for i in inos])
    result = {}
    for ino in inos:
        names = []
        for line in got["ls -p <%d>" % ino].split(b"\n"):
            part = line.split(b"/")
            if len(part) >= 7 and part[5] not in (b".", b".."):
                names.append((os.fsdecode(part[5]), int(part[1])))
        result[ino] = names
    return result


KINDS = {
    b"regular": stat.S_IFREG,
    b"directory": stat.S_IFDIR,
    b"symlink": stat.S_IFLNK,
    b"character": stat.S_IFCHR,
    b"block": stat.S_IFBLK,
    b"FIFO": stat.S_IFIFO,
    b"socket": stat.S_IFSOCK,
}


def number(pattern, text, base=10):
    m = re.search(pattern, text)
    return int(m.group(1), base)


def read_time(which, text):
    m = re.search(rb"\b%s: 0x([0-9a-f]+):([0-9a-f]+)" % which, text)
    sec, extra = int(m.group(1), 16), int(m.group(2), 16)
    sec = (sec ^ 1 << 31) - (1 << 31) + ((extra & 3) << 32)
    return sec * 10**9 + (extra >> 2)


def xattr_names(text):
    m = re.search(rb"(?ms)^Extended attributes:\n((?:  .*\n)*)", text)
    return re.findall(rb"(?m)^  (\S+) \(", m.group(1)) if m else []


def tidy_acl(value):
    """Entries without a user or group have no id; debugfs says 0, Linux -1."""
    out = value[:4]
    for tag, perm, who in struct.iter_unpack("<HHI", value[4:]):
        out += struct.pack("<HHI", tag, perm, who if tag in (2, 8) else 2**32 - 1)
    return out


def read_xattrs(path, texts):
    """{ino: {name: value}}; stat shows only the names of long ones."""
    wanted = {
        "ea_get -x <%d> %s" % (ino, name.decode()): (ino, name.decode())
        for ino, text in texts.items()
        for name in xattr_names(text)
    }
    found = {}
    for command, text in debugfs(path, sorted(wanted)).items():
        ino, name = wanted[command]
        m = re.match(rb"\S+ \((\d+)\) = (.*)\n", text)
        value = bytes.fromhex(m.group(2).decode())
        if len(value) != int(m.group(1)):
            sys.exit("inode %d: attribute %s is cut" % (ino, name))
        if name.startswith("system.posix_acl_"):
            value = tidy_acl(value)
        found.setdefault(ino, {})[name] = value
    return found


def read_extents(text):
    """(file block, block) of what EXTENTS: lists, tree blocks left out."""
    m = re.search(rb"(?ms)^EXTENTS:\n(.*)", text)
    if not m:
        return
    for e in re.finditer(rb"\((\d+)(?:-(\d+))?\):(\d+)", m.group(1)):
        first, last = int(e.group(1)), int(e.group(2) or e.group(1))
        for k in range(last - first + 1):
            yield first + k, int(e.group(3)) + k


def stored_blocks(image, text):
    for k, at in read_extents(text):
        yield k, os.pread(image.fileno(), BLOCK, at * BLOCK)


def read_inode(image, ino, text):
    f = File()
    kind = re.search(rb"Type: (\w+)", text).group(1)
    f.mode = KINDS[kind] | number(rb"Mode:\s+([0-7]+)", text, 8)
    f.uid = number(rb"User:\s+(-?\d+)", text) % 2**32
    f.gid = number(rb"Group:\s+(-?\d+)", text) % 2**32
    f.links = number(rb"Links: (\d+)", text)
    f.mtime = read_time(b"mtime", text)
    for other in (b"ctime", b"atime", b"crtime"):
        if read_time(other, text) != f.mtime:
            sys.exit("inode %d: %s is not mtime" % (ino, other.decode()))
    f.key = ino
    size = number(rb"Size: (\d+)", text)
    if stat.S_ISREG(f.mode):
        f.size = size
        f.digest, f.blocks = hash_blocks(stored_blocks(image, text))
    elif stat.S_ISLNK(f.mode):
        m = re.search(rb'Fast link dest: "(.*)"', text)
        if m:
            f.target = m.group(1)
        else:
            f.target = b"".join(d for _, d in stored_blocks(image, text))
        f.target = f.target[:size]
    elif stat.S_ISCHR(f.mode) or stat.S_ISBLK(f.mode):
        m = re.search(rb"major/minor number: (\d+):(\d+)", text)
        f.rdev = (int(m.group(1)), int(m.group(2)))
    return f


def read_image(path):
    names = {".": 2}
    queue = [(".", 2)]
    while queue:
        listed = list_folder(path, [i for _, i in queue])
        below = []
        for folder, ino in queue:
            for name, child in listed[ino]:
                full = name if folder == "." else folder + "/" + name
                names[full] = child
                below.append((full, child))
        types = debugfs(path, sorted({"stat <%d>" % i for _, i in below}))
        queue = [
            (p, i)
            for p, i in below
            if re.search(rb"Type: directory", types["stat <%d>" % i])
        ]
    texts = debugfs(path, sorted({"stat <%d>" % i for i in names.values()}))
    texts = {i: texts["stat <%d>" % i] for i in names.values()}
    xattrs = read_xattrs(path, texts)
    with open(path, "rb") as image:
        inodes = {i: read_inode(image, i, t) for i, t in texts.items()}
    for ino, found in xattrs.items():
        inodes[ino].xattrs = found
    return {p: inodes[i] for p, i in names.items()}


# ---- both ----


def describe(path, f, first, opt):
    word = ["%r" % path, "%o" % f.mode, "%d:%d" % (f.uid, f.gid)]
    word.append(str(f.mtime // 10**9) if opt.no_ns else str(f.mtime))
    if stat.S_ISDIR(f.mode):
        word.append("links %d" % f.links)
    else:
        word.append("links %d as %r" % (f.links, first))
    if f.digest is not None:
        word.append("%d bytes %d blocks %s" % (f.size, f.blocks, f.digest))
    if f.target is not None:
        word.append("-> %r" % f.target)
    if f.rdev:
        word.append("device %d:%d" % f.rdev)
    if not opt.no_xattrs:
        for name in sorted(f.xattrs):
            value = f.xattrs[name]
            text = value.hex()
            if len(value) > 32:
                text = "%d:%s" % (len(value), hashlib.md5(value).hexdigest())
            word.append("%s=%s" % (name, text))
    return " ".join(word)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("kind", choices=["dir", "image"])
    p.add_argument("path")
    p.add_argument("--no-ns", action="store_true")
    p.add_argument("--no-xattrs", action="store_true")
    p.add_argument("--no-sockets", action="store_true")
    opt = p.parse_args()
    files = read_dir(opt.path) if opt.kind == "dir" else read_image(opt.path)
    first = {}
    for path in sorted(files):
        first.setdefault(files[path].key, path)
    for path in sorted(files):
        f = files[path]
        if not (opt.no_sockets and stat.S_ISSOCK(f.mode)):
            print(describe(path, f, first[f.key], opt))


main()
