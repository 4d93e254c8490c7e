# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Helpers of the tests of husk-image; sourced after tap.sh.
# shellcheck disable=SC2154 # tmp is tap.sh's

tool=${BUILD:-build}/husk-image
case $tool in /*) ;; *) tool=$PWD/$tool ;; esac
export LC_ALL=C.UTF-8
unset SOURCE_DATE_EPOCH

# The image of a source; what it says is shown when it fails.
build_ok() { # FROM IMAGE [OPTION...]
	local from=$1 image=$2
	shift 2
	"$tool" build --quiet --from "$from" -o "$image" "$@" 2>"$tmp/.build" ||
		sed 's/^/# /' "$tmp/.build"
}

clean() { # IMAGE
	e2fsck -fn "$1" 2>&1
}

odd_tar() {
	python3 tests/shell/image_tars.py "$@"
}

manifest() { # "KIND PATH" [OPTION...]
	local what=$1
	shift
	python3 tests/shell/image_manifest.py "${what%% *}" "${what#* }" "$@"
}

same() { # "KIND PATH" "KIND PATH" [OPTION...]
	local a=$1 b=$2
	shift 2
	manifest "$a" "$@" >"$tmp/.a" && manifest "$b" "$@" >"$tmp/.b" &&
		[ -s "$tmp/.a" ] && diff "$tmp/.a" "$tmp/.b"
}

differs() {
	[ "$1" != "$2" ]
}

has_owner() { # IMAGE NAME UID:GID
	has_line <(manifest "image $1") "'$2' [0-7]+ $3 "
}

indexed() { # IMAGE FOLDER
	debugfs -R "htree_dump $2" "$1" 2>/dev/null | grep -q 'Root node dump'
}

# husk-image prints control characters and backslashes as \ooo.
unescape() {
	python3 -c '
import re, sys
sys.stdout.buffer.write(re.sub(rb"\\([0-7]{3})",
    lambda m: bytes([int(m.group(1), 8)]), sys.stdin.buffer.read()))'
}

# An access control list: owner rwx, user 7 r-x, group r--, mask r-x, others
# none. In the group's bits of the mode is the mask.
put_acl() { # FILE access|default
	python3 - "$@" <<-'PY'
		import os, struct, sys
		path, kind = sys.argv[1:]
		acl = struct.pack("<I", 2) + b"".join(
		    struct.pack("<HHI", *e) for e in [
		        (1, 7, 2**32 - 1), (2, 5, 7), (4, 4, 2**32 - 1),
		        (16, 5, 2**32 - 1), (32, 0, 2**32 - 1)])
		os.setxattr(path, "system.posix_acl_" + kind, acl)
	PY
}

# A tree with one of everything that this user may make.
make_tree() { # FOLDER
	mkdir -p "$1/sub/below" "$1/empty" "$1/sticky"
	python3 - "$1" <<-'PY'
		import os, socket, stat, sys
		os.chdir(sys.argv[1])
		def put(name, data):
		    with open(name, "wb") as f:
		        f.write(data)
		put("file", b"hello\n")
		put("none", b"")
		put("block", b"b" * 4096)
		put("more", bytes(range(256)) * 1000)
		os.link("file", "sub/hard")
		os.link("file", "sub/below/hard")
		os.symlink("file", "fast")
		os.symlink("/nowhere/" + "s" * 51, "just-slow")   # 60 bytes
		os.symlink("/nowhere/" + "s" * 50, "just-fast")   # 59 bytes
		os.symlink("x" * 4000, "slow")
		os.link("slow", "slow2")
		os.mkfifo("fifo", 0o640)
		socket.socket(socket.AF_UNIX).bind("sock")
		put("long" + "n" * 200, b"1")
		deep = "deep"
		for k in range(8):
		    deep += "/" + "d" * 100
		os.makedirs(deep)
		put(deep + "/long", b"2")
		with open("sparse", "wb") as f:
		    f.truncate(50 << 20)
		    for at in (0, 8192, 10 << 20, 49 << 20):
		        f.seek(at)
		        f.write(b"data" * 1024)
		with open("sparse.odd", "wb") as f:
		    f.truncate((8 << 20) + 5)
		    f.seek(4096 + 17)
		    f.write(b"odd")
		    f.seek(3 << 20)
		    f.write(b"o" * 9999)
		put("zeros", bytes(1 << 20))
		for name in ("user.small", "user.second"):
		    os.setxattr("file", name, b"value\0\xff")
		os.setxattr("sub", "user.large", b"v" * 2000)
		os.chmod("sticky", 0o1777)
		os.chmod("none", 0o4711)
		os.chmod("more", 0o2640)
		if os.geteuid() == 0:
		    os.mknod("char", 0o620 | stat.S_IFCHR, os.makedev(5, 1))
		    os.mknod("disk", 0o660 | stat.S_IFBLK, os.makedev(300, 70000))
		    os.chown("more", 70000, 80000)
		    os.lchown("fast", 1, 2)
		    os.setxattr("more", "security.capability",
		                bytes.fromhex("01000002" + "00040000" + "0" * 24))
		    os.setxattr("fast", "trusted.link", b"t")
		for k, name in enumerate(["file", "fast", "empty", "fifo", "sub"]):
		    os.utime(name, ns=(5, 10**18 + k * 123456789),
		             follow_symlinks=False)
	PY
}
