#!/bin/bash
# SPDX-License-Identifier: MIT
#
# husk-image as a command: its options, what it shows while it works and when
# it is done, whose rights and how much memory it needs, info and ls, and its
# man page against --help.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh
# shellcheck source=tests/shell/image_lib.sh
. tests/shell/image_lib.sh

tree=$tmp/tree
mkdir -p "$tree/sub/deep" "$tree/docs"
echo hello >"$tree/file"
echo x >"$tree/sub/deep/x.txt"
echo y >"$tree/sub/y.txt"
echo z >"$tree/docs/z.txt"
ln -s file "$tree/link"
ln -s sub "$tree/to-sub"
find "$tree" -exec touch -hd '2020-02-02 02:02:02Z' {} +
tar -C "$tree" -cf "$tmp/tree.tar" .
image=$tmp/image

info() { # IMAGE NAME: one value
	"$tool" info "$1" | sed -n "s/^$2: //p"
}

# ---- options ----

build_ok "$tree" "$image" --label 'sixteen-letters.'
check 'label' is "$(info "$image" label)" sixteen-letters.
check 'label: dumpe2fs agrees' has_line <(dumpe2fs -h "$image" 2>/dev/null) '^Filesystem volume name: +sixteen-letters\.$'
check 'a fit: hardly anything is free' test "$(info "$image" free)" -lt 300000
check 'info: size is the size' is "$(info "$image" size)" "$(stat -c %s "$image")"
check 'info: used and free make size' is $(($(info "$image" used) + $(info "$image" free))) "$(info "$image" size)"
check 'info: files' is "$(info "$image" files)" "$(find "$tree" | wc -l)"
check 'info: uuid, as dumpe2fs sees it' has_line <(dumpe2fs -h "$image" 2>/dev/null) "UUID: +$(info "$image" uuid)$"
check 'info: features' is "$(info "$image" features)" \
	'ext_attr dir_index filetype extent flex_bg sparse_super large_file dir_nlink extra_isize'
check 'info: without an epoch, no time of now' is "$(info "$image" made)" 1970-01-01T00:00:01Z
check 'nothing is reserved' has_line <(dumpe2fs -h "$image" 2>/dev/null) '^Reserved block count: +0$'

build_ok "$tree" "$tmp/sized" --size 64M
check 'size: exactly that' is "$(stat -c %s "$tmp/sized")" 67108864
check 'size: e2fsck finds nothing' clean "$tmp/sized"
check 'size: free space takes no disk' test "$(stat -c %b "$tmp/sized")" -lt 4000
head -c 400000 /dev/urandom >"$tree/random"
small() {
	local rc=0
	"$tool" build -q --from "$tree" -o "$tmp/small" --size 256K 2>"$tmp/.err" || rc=$?
	is "$rc" 1 && is "$(wc -l <"$tmp/.err")" 1 && test ! -e "$tmp/small" && has_line "$tmp/.err" \
		"write '$tmp/small': content does not fit \(raise --size by [0-9]+ KiB or more, or leave it out\)$"
}
check 'size: too small is an error' small
rm "$tree/random"
touch -d '2020-02-02 02:02:02Z' "$tree"
build_ok "$tree" "$tmp/free" --free 10M
check 'free: at least that' test "$(info "$tmp/free" free)" -ge 10485760
check 'free: inodes too' test "$(info "$tmp/free" free-files)" -ge 600
check 'free: e2fsck finds nothing' clean "$tmp/free"
for size in 127M 128M 129M 200M 300M; do # around the borders of groups
	build_ok "$tree" "$tmp/fit" --free $size
	check "free $size: e2fsck finds nothing" clean "$tmp/fit"
done
# Sizes whose last group is too small to be one: cut off, and left unused.
for size in 134M 131200K 128M; do
	build_ok "$tree" "$tmp/odd" --size $size
	check "size $size: exactly that" is "$(stat -c %s "$tmp/odd")" "$(numfmt --from=iec $size)"
	check "size $size: e2fsck finds nothing" clean "$tmp/odd"
done
ln -s "$tmp/odd" "$tmp/to-odd"
build_ok "$tree" "$tmp/to-odd"
build_ok "$tree" "$tmp/free-less"
check 'an image that is a link: stays one' test -L "$tmp/to-odd"
check 'an image that is a link: its target is replaced' cmp -s "$tmp/odd" "$tmp/free-less"
mkdir "$tmp/shared"
chmod 1777 "$tmp/shared"
echo precious >"$tmp/precious"
ln -s "$tmp/precious" "$tmp/shared/planted"
build_ok "$tree" "$tmp/shared/planted"
check 'a link in a shared folder: its target stays' is "$(cat "$tmp/precious")" precious
check 'a link in a shared folder: is replaced itself' test ! -L "$tmp/shared/planted"
check 'a link in a shared folder: by the image' cmp -s "$tmp/shared/planted" "$tmp/free-less"
check 'nothing else is left there' is "$(ls -A "$tmp/shared")" planted
build_ok "$tree" "$tmp/owned" --owner 12:345678
check 'owner: all belongs to it' lacks_line <(manifest "image $tmp/owned") "^'[^']*' [0-7]+ (0:|1000:)"
check 'owner: the root too' has_owner "$tmp/owned" . 12:345678

names() { # IMAGE: all names, sorted
	manifest "image $1" | cut -d "'" -f 2 | tr '\n' ' '
}
for from in "$tree" "$tmp/tree.tar"; do
	kind=$([ -d "$from" ] && echo folder || echo archive)
	build_ok "$from" "$tmp/less" --exclude docs --exclude 'sub/*.txt'
	check "exclude from a $kind" is "$(names "$tmp/less")" '. file link sub sub/deep sub/deep/x.txt to-sub '
	build_ok "$from" "$tmp/less" --exclude 'sub/deep'
	check "exclude a folder of a $kind" is "$(names "$tmp/less")" '. docs docs/z.txt file link sub sub/y.txt to-sub '
done

# ---- SOURCE_DATE_EPOCH ----

touch -d '2030-01-01' "$tree/docs/z.txt"
SOURCE_DATE_EPOCH=1700000000 "$tool" build -q --from "$tree" -o "$tmp/epoch"
manifest "image $tmp/epoch" >"$tmp/epoch.txt"
check 'epoch: later times become it' has_line "$tmp/epoch.txt" "'docs/z.txt' 100644 [0-9:]+ 1700000000000000000 "
check 'epoch: earlier ones stay' has_line "$tmp/epoch.txt" "'file' 100644 [0-9:]+ 1580608922000000000 "
check 'epoch: the image itself' is "$(info "$tmp/epoch" made)" 2023-11-14T22:13:20Z
check 'epoch: e2fsck finds nothing' clean "$tmp/epoch"

# ---- ls ----

check 'ls' is "$("$tool" ls "$image" | tr '\n' ' ')" 'docs file link sub to-sub '
check 'ls of a folder' is "$("$tool" ls "$image" /sub | tr '\n' ' ')" 'deep y.txt '
check 'ls through a link' is "$("$tool" ls "$image" to-sub | tr '\n' ' ')" 'deep y.txt '
check 'ls of a file' is "$("$tool" ls "$image" /sub/y.txt)" /sub/y.txt
check 'ls -R' cmp <("$tool" ls -R "$image") <(
	printf '%s\n' /: docs file link sub to-sub '' /docs: z.txt '' /sub: deep y.txt '' /sub/deep: x.txt
)
own=$(printf '%5d %5d' "$(id -u)" "$(id -g)")
build_ok "$tree" "$image"
check 'ls -l' cmp <("$tool" ls -l "$image" | sed 's/  *4096 .* docs$/ docs/') <(
	cat <<-END
		drwxr-xr-x   2 $own docs
		-rw-r--r--   1 $own            6 2020-02-02 02:02:02 file
		lrwxrwxrwx   1 $own            4 2020-02-02 02:02:02 link -> file
		drwxr-xr-x   3 $own         4096 2020-02-02 02:02:02 sub
		lrwxrwxrwx   1 $own            3 2020-02-02 02:02:02 to-sub -> sub
	END
)
odd_tar kinds 2 >"$tmp/kinds.tar"
build_ok "$tmp/kinds.tar" "$tmp/kinds"
check 'ls -l of devices and odd modes' cmp <("$tool" ls -l "$tmp/kinds") <(
	cat <<-'END'
		brw-r--r--   1     0     0   259, 70000 2001-09-09 01:46:40 big
		drwxrwxrwt   2 70000 2097151         4096 2001-09-09 01:46:40 dir
		prw-------   1     0     0            0 2001-09-09 01:46:40 fifo
		lrw-r--r--   1     0     0           14 2001-09-09 01:46:40 link -> /abs/../target
		crw-r--r--   1     0     0     1,     3 2001-09-09 01:46:40 null
	END
)

# Names that would speak to a terminal: C1 controls as UTF-8 and bare, text that
# runs backwards, a newline, half a character.
mkdir "$tmp/odd-names"
touch "$tmp/odd-names/"$'c1\xc2\x9b31m' "$tmp/odd-names/"$'raw\x9b' "$tmp/odd-names/"$'bidi\xe2\x80\xaetxt' \
	"$tmp/odd-names/"$'nl\n' "$tmp/odd-names/"$'cut\xe2\x82' "$tmp/odd-names/"$'fine\xc3\xa9'
ln -s $'to\xc2\x9b' "$tmp/odd-names/link"
build_ok "$tmp/odd-names" "$tmp/odd-names.ext4" --label $'l\xc2\x9b\xe2\x80\xae'
check 'ls of names for a terminal' cmp <("$tool" ls "$tmp/odd-names.ext4") <(
	printf '%s\n' 'bidi\342\200\256txt' 'c1\302\23331m' 'cut\342\202' $'fine\xc3\xa9' link 'nl\012' 'raw\233'
)
check 'ls -l of targets for a terminal' has_line <("$tool" ls -l "$tmp/odd-names.ext4") ' link -> to.302.233$'
check 'info of a label for a terminal' is "$(info "$tmp/odd-names.ext4" label)" 'l\302\233\342\200\256'
speak() {
	"$tool" ls "$tmp"/$'none\xc2\x9b\x9b\xe2\x80\xae' 2>"$tmp/.err"
	is "$(cat "$tmp/.err")" "husk-image: read '$tmp/none\\302\\233\\233\\342\\200\\256': open: No such file or directory"
}
check 'an error about a name for a terminal' speak

# ---- what it shows ----

"$tool" build --from "$tree" -o "$tmp/shown" >"$tmp/.out" 2>"$tmp/.err"
check 'a pipe gets plain lines' lacks_line "$tmp/.err" "$(printf '[\r\033]')"
check 'a pipe gets a line per step' is "$(cut -d : -f 1 "$tmp/.err" | sed 's/ .*//' | tr '\n' ' ')" 'read write made '
check 'nothing goes to stdout' is "$(cat "$tmp/.out")" ''
"$tool" build -q --from "$tree" -o "$tmp/shown" >"$tmp/.out" 2>&1
check 'quiet: not a word' is "$(cat "$tmp/.out")" ''

# A file that comes in two halves half a second apart, watched on a terminal.
watch_terminal() {
	python3 - "$tool" "$tmp/slow" <<-'PY'
		import io, os, pty, sys, tarfile, time
		raw = io.BytesIO()
		with tarfile.open(fileobj=raw, mode="w") as tar:
		    t = tarfile.TarInfo("file")
		    t.size = 100000
		    tar.addfile(t, io.BytesIO(os.urandom(t.size)))
		raw = raw.getvalue()
		r, w = os.pipe()
		pid, master = pty.fork()
		if pid == 0:
		    os.dup2(r, 0)
		    os.close(w)
		    os.execv(sys.argv[1], [sys.argv[1], "build", "--from", "-",
		                           "-o", sys.argv[2]])
		os.close(r)
		os.write(w, raw[:50000])
		time.sleep(0.5)
		os.write(w, raw[50000:])
		os.close(w)
		seen = b""
		while True:
		    try:
		        part = os.read(master, 65536)
		    except OSError:
		        break
		    if not part:
		        break
		    seen += part
		status = os.waitpid(pid, 0)[1]
		print(seen)
		ok = status == 0 and b"\r\x1b[Kread: " in seen and b"KiB" in seen
		sys.exit(not (ok and seen.endswith(b"\r\n")))
	PY
}
check 'a terminal sees it move' watch_terminal

# ---- rights and memory ----

if [ "$(id -u)" -eq 0 ]; then
	as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all)
else
	as_user=(setpriv --no-new-privs)
fi
chmod 711 "$tmp"
mkdir -m 777 "$tmp/user"
cp "$tool" "$tmp/user/tool"
check 'an ordinary user can build what only root could extract' \
	"${as_user[@]}" "$tmp/user/tool" build -q --from "$tmp/kinds.tar" -o "$tmp/user/image"
check 'an ordinary user: the same bytes' cmp "$tmp/kinds" "$tmp/user/image"

# 128 MiB of one file in 32 MiB of address space, through a pipe of gzip.
lean() {
	head -c 134217728 /dev/zero | tr '\0' 'A' >"$tmp/big"
	tar -C "$tmp" -cz big | (ulimit -v 32768 && exec "$tool" build -q --from - -o "$tmp/lean") &&
		is "$(info "$tmp/lean" files)" 2 && clean "$tmp/lean"
}
check 'memory does not grow with a file' lean
check 'it needs no shared library' lacks_line <(ldd "$tool" 2>&1) '=>'

# ---- usage ----

usage() { # LINE ARG...
	local line=$1 rc=0
	shift
	"$tool" "$@" >"$tmp/.out" 2>"$tmp/.err" || rc=$?
	is "$rc" 2 && is "$(cat "$tmp/.err")" "husk-image: $line" && is "$(cat "$tmp/.out")" ''
}
check 'no command' usage 'no command (build, info or ls; try --help)'
check 'an unknown option' usage "unknown option '--fast' (try --help)" build --fast
check 'no image' usage "option '-o' is missing (the image to make)" build --from x
check 'version' has_line <("$tool" --version) '^husk-image [0-9]+\.[0-9]+\.[0-9]+ \(([0-9a-f]{12}|unknown)\)$'

# ---- the man page ----

page=docs/husk-image.1
"$tool" --help >"$tmp/help"
check 'man page: mandoc has nothing to say' is "$(mandoc -Tlint -W warning "$page" 2>&1)" ''
mandoc -Tutf8 -O width=78 "$page" | sed 's,.\x08,,g' >"$tmp/page"
# "-o, --output IMAGE", one option a line, both times sorted.
grep -oE '^ +(-[A-Za-z], )?--[a-z]+( [A-Z:]+)?' "$tmp/help" | sed 's/^ *//' | sort >"$tmp/in-help"
grep -oE '^ +(-[A-Za-z], )?--[a-z]+( [A-Z:]+)?' "$tmp/page" | sed 's/^ *//' | sort >"$tmp/in-page"
check 'man page: the options are those of --help' cmp "$tmp/in-help" "$tmp/in-page"
check 'man page: there are options' test "$(wc -l <"$tmp/in-page")" -ge 12
for command in build info ls; do
	check "man page: $command" has_line "$tmp/page" "^ +husk-image $command "
done

done_testing
