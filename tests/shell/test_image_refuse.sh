#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What husk-image refuses: each hostile, cut or damaged archive gets status 1,
# one line on stderr, and leaves the folder of the image as it was. And what
# it must survive: damaged images given to info and ls.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh
# shellcheck source=tests/shell/image_lib.sh
. tests/shell/image_lib.sh

mkdir "$tmp/out"

# refused REGEX ARG...: build -o out/image ARG... fails with this line alone.
refused() {
	local line=$1 rc=0
	shift
	"$tool" build -o "$tmp/out/image" "$@" >"$tmp/.out" 2>"$tmp/.err" || rc=$?
	is "$rc" 1 || return 1
	is "$(cat "$tmp/.out")" '' || return 1
	is "$(wc -l <"$tmp/.err")" 1 || return 1
	has_line "$tmp/.err" "^husk-image: $line$" || return 1
	is "$(ls -A "$tmp/out")" '' || return 1
}

# hostile NAME REGEX ODD-TAR...
hostile() {
	local name=$1 line=$2
	shift 2
	odd_tar "$@" >"$tmp/bad.tar"
	check "$name" refused "read '$tmp/bad.tar': $line" --from "$tmp/bad.tar"
}

# ---- escapes ----

hostile 'an absolute path' "entry '/etc/x': absolute path" named /etc/x
hostile 'two dots in front' "entry '../x': path with '\.\.'" named ../x
hostile 'two dots inside' "entry 'a/../../x': path with '\.\.'" named a/../../x
hostile 'two dots at the end' "entry 'a/\.\.': path with '\.\.'" named a/..
hostile 'two dots behind a dot' "entry '\./\.\./x': path with '\.\.'" named ./../x
hostile 'through a symbolic link' \
	"entry 'l/x': 'l' above it is a symbolic link, which is not followed" link_parent
hostile 'through a symbolic link that stays inside' \
	"entry 'l/x': 'l' above it is a symbolic link, which is not followed" link_parent_inside
hostile 'a hard link to an absolute path' \
	"entry 'h': hard link to '/etc/passwd': absolute path" hard /etc/passwd
hostile 'a hard link with two dots' \
	"entry 'h': hard link to '\.\./f': path with '\.\.'" hard ../f
hostile 'a hard link to nothing' "entry 'h': hard link to 'g': no such file" hard g
hostile 'a hard link to the root' "entry 'h': hard link to a folder" hard .
hostile 'an absolute path in an extended header' "entry '/x': absolute path" pax path /x
hostile 'a name with a newline stays on the line' \
	"entry '/a.012b': absolute path" named $'/a\nb'
hostile 'a name with escape sequences is harmless' \
	"entry '/.033.31mred': absolute path" named $'/\e[31mred'

# ---- wrong numbers and fields ----

hostile 'a negative size' 'header at byte 0: size is negative' \
	field 124 ffffffffffffffffffffffff
hostile 'a size of 8 EiB' "entry 'file': (size 9223372036854775807 is too large for ext4|archive is truncated)" \
	field 124 800000007fffffffffffffff
hostile 'a size beyond 64 bits' 'header at byte 0: size is not a number' \
	field 124 800000ffffffffffffffffff
hostile 'a size that is no number' 'header at byte 0: size is not a number' \
	field 124 7a7a7a7a
hostile 'an owner that does not exist' "entry 'file': uid is out of range" \
	field 108 ffffffffffffffff
hostile 'an unknown kind' "entry 'file': unknown entry type 'Q'" field 156 51
hostile 'a time out of range' "entry 'file': time 15032385536 is out of range for ext4" \
	pax mtime 15032385536
hostile 'a time that is no number' "extended header: bad value of 'mtime'" pax mtime soon
hostile 'a device out of range' "entry 'dev': device number 4096:0 is out of range" \
	device 4096 0
hostile 'an attribute nobody knows' \
	"entry 'file': extended attribute 'system.data' cannot be kept" \
	pax SCHILY.xattr.system.data x
hostile 'an attribute too large' \
	"entry 'file': extended attributes are too large for ext4 \(4096 bytes at most\)" \
	pax SCHILY.xattr.user.x "$(printf '%05000d' 0)"
no_acls='access control lists are not supported \(take them off at the source: setfacl -R -b\)'
for key in acl.access acl.default xattr.system.posix_acl_access xattr.system.posix_acl_default; do
	hostile "an access control list, $key" "entry 'file': $no_acls" pax SCHILY.$key user::rwx
done
too_long='is longer than 4095 bytes \(no system call takes a longer one; make the archive without it\)'
for n in 4096 5000; do
	hostile "a path of $n bytes" "entry 'd+.*': name $too_long" \
		pax path "$(printf '%0*d' $n 0 | sed 's|00|d/|g')"
	hostile "a link's target of $n bytes" "entry 'h': link target $too_long" \
		hard "$(printf '%0*d' $n 0 | tr 0 t)"
done
hostile 'a sparse map out of order' 'extended header: sparse map is out of order' \
	pax GNU.sparse.map 5,5,1,1
hostile 'a folder that would be lost' "entry 'd': would replace a folder that is not empty" \
	folder_gone
hostile 'headers about headers without end' 'archive is truncated' pax_loop
hostile 'a name of 256 bytes' "entry 'n+': file name longer than 255 bytes" \
	pax path "$(printf '%0256d' 0 | tr 0 n)"

# ---- not an archive ----

head -c 2000 /dev/urandom | tr '\037' x >"$tmp/noise"
check 'noise' refused "read '$tmp/noise': header at byte 0: wrong check sum \(not a tar archive, or corrupt\)" \
	--from "$tmp/noise"
: >"$tmp/empty"
check 'an empty file' refused "read '$tmp/empty': archive is empty" --from "$tmp/empty"
check 'an empty pipe' refused "read '-': archive is empty" --from -
odd_tar mixed >"$tmp/mixed.tar"
xz -k "$tmp/mixed.tar"
check 'xz' refused "read '$tmp/mixed.tar.xz': archive is packed with xz \(xz -dc ARCHIVE \| husk-image build --from - \.\.\.\)" \
	--from "$tmp/mixed.tar.xz"
cat "$tmp/mixed.tar" "$tmp/mixed.tar" >"$tmp/two.tar"
check 'two archives in one file' refused \
	"read '$tmp/two.tar': data after the end of the archive \(tar --concatenate joins archives, cat does not\)" \
	--from "$tmp/two.tar"
check 'no such source' refused "read '$tmp/none': open: No such file or directory" --from "$tmp/none"

# ---- cut ----

# cut_anywhere FILE STEP LAST: each length below LAST is refused.
cut_anywhere() {
	local n
	for ((n = 1; n < $3; n += $2)); do
		head -c "$n" "$1" >"$tmp/cut"
		refused ".*(truncated|wrong check sum|archive is packed).*" --from "$tmp/cut" || {
			echo "at $n of $1"
			return 1
		}
	done
}
end=$(python3 -c 'import sys; print(len(open(sys.argv[1], "rb").read().rstrip(b"\0")))' "$tmp/mixed.tar")
end=$(((end + 511) / 512 * 512))
check 'a tar cut anywhere' cut_anywhere "$tmp/mixed.tar" 211 $end
gzip -nk "$tmp/mixed.tar"
check 'a gzip cut anywhere' cut_anywhere "$tmp/mixed.tar.gz" 13 "$(stat -c %s "$tmp/mixed.tar.gz")"
head -c "$end" "$tmp/mixed.tar" | gzip -n >"$tmp/noend.tar.gz"
check 'a whole gzip of a cut tar' refused "read '$tmp/noend.tar.gz': archive is truncated" --from "$tmp/noend.tar.gz"

# ---- damaged ----

# Whatever is changed: an error and nothing left, or a right image.
damage() {
	local seed rc
	for seed in $(seq 1 100); do
		odd_tar damaged "$tmp/mixed.tar" "$seed" >"$tmp/damaged.tar"
		rc=0
		"$tool" build -q --from "$tmp/damaged.tar" -o "$tmp/out/image" 2>"$tmp/.err" || rc=$?
		case $rc in
		0) clean "$tmp/out/image" && rm "$tmp/out/image" ;;
		1) is "$(wc -l <"$tmp/.err")" 1 && is "$(ls -A "$tmp/out")" '' ;;
		*) false ;;
		esac || {
			echo "seed $seed: status $rc"
			cat "$tmp/.err"
			return 1
		}
	done
}
check 'a damaged tar: an error or a right image' damage

gzip_damage() {
	local n
	cp "$tmp/mixed.tar.gz" "$tmp/damaged.gz"
	for n in 12 40 90 150 200; do
		printf '\125' | dd of="$tmp/damaged.gz" bs=1 seek=$n conv=notrunc status=none
	done
	refused "read '$tmp/damaged.gz': .*gzip: corrupt data \(.*\)" --from "$tmp/damaged.gz"
}
check 'a damaged gzip' gzip_damage

# ---- an image that was there ----

odd_tar orphans >"$tmp/good.tar"
"$tool" build -q --from "$tmp/good.tar" -o "$tmp/kept"
cp "$tmp/kept" "$tmp/before"
"$tool" build -q --from "$tmp/cut" -o "$tmp/kept" 2>/dev/null
check 'a failed build leaves the old image' cmp "$tmp/kept" "$tmp/before"

# ---- interrupted ----

# A source that never ends; then a signal. The shell sees the signal's status.
interrupted() { # SIGNAL STATUS
	local pid rc=0
	mkfifo "$tmp/fifo"
	# Background jobs of a shell ignore SIGINT; env sets that right.
	env --default-signal=INT "$tool" build --from - -o "$tmp/out/image" \
		<"$tmp/fifo" >"$tmp/.out" 2>"$tmp/.err" &
	pid=$!
	exec 5>"$tmp/fifo"
	head -c 3000 "$tmp/mixed.tar" >&5
	# It has begun when it has taken all that is in the pipe.
	until python3 -c '
import array, fcntl, sys, termios
n = array.array("i", [0])
fcntl.ioctl(5, termios.FIONREAD, n)
sys.exit(n[0] != 0)'; do
		sleep 0.05
	done
	kill -"$1" "$pid"
	wait "$pid" || rc=$?
	exec 5>&-
	rm "$tmp/fifo"
	is "$rc" "$2" || return 1
	is "$(cat "$tmp/.err")" 'husk-image: interrupted' || return 1
	is "$(ls -A "$tmp/out")" ''
}
check 'SIGINT: nothing is left' interrupted INT 130
check 'SIGTERM: nothing is left' interrupted TERM 143
check 'SIGHUP: nothing is left' interrupted HUP 129

# ---- folders ----

mkdir -p "$tmp/src/out"
inside() {
	local rc=0
	"$tool" build --from "$tmp/src" -o "$tmp/src/out/image" 2>"$tmp/.err" || rc=$?
	is "$rc" 1 && has_line "$tmp/.err" \
		"^husk-image: read '$tmp/src': 'out': the image would be made inside the folder it is made from$" &&
		is "$(ls -A "$tmp/src/out")" ''
}
check 'an image inside its source' inside

# Lists from a folder, made by setxattr and by GNU tar: as of any archive.
mkdir -p "$tmp/acls/d"
echo x >"$tmp/acls/d/f"
with_acl() { # PATH access|default
	local n
	put_acl "$tmp/acls/$1" "$2" &&
		refused "read '$tmp/acls': '$1': $no_acls" --from "$tmp/acls" || return 1
	for n in --acls --xattrs; do
		tar -C "$tmp/acls" --format=posix $n -cf "$tmp/acls.tar" d &&
			refused "read '$tmp/acls.tar': entry '$1/?': $no_acls" --from "$tmp/acls.tar" || return 1
	done
	"$tool" build -q --from "$tmp/acls" -o "$tmp/image" --exclude "$1" &&
		"$tool" build -q --from "$tmp/acls.tar" -o "$tmp/image" --exclude "$1"
}
check 'a file with an access control list' with_acl d/f access
rm "$tmp/acls/d/f"
check 'a folder with a default list' with_acl d default
check 'an image inside what is left out' \
	"$tool" build -q --from "$tmp/src" -o "$tmp/src/out/image" --exclude out

output_refused() { # IMAGE REGEX
	local rc=0
	"$tool" build --from "$tmp/good.tar" -o "$1" 2>"$tmp/.err" || rc=$?
	is "$rc" 1 && has_line "$tmp/.err" "^husk-image: write '$1': $2$"
}
check 'a folder as image' output_refused "$tmp/out" 'exists and is no regular file'
check 'a device as image' output_refused /dev/null 'exists and is no regular file'
check 'an open descriptor as image' output_refused /dev/stdout 'exists and is no regular file'
check 'an image in no folder' output_refused "$tmp/no/image" "folder '$tmp/no': No such file or directory"
check 'an image below a file' output_refused "$tmp/good.tar/image" "'$tmp/good.tar' is not a folder"

# ---- a full disk, a file that cannot be read ----

full() {
	local rc=0
	(
		ulimit -f 40 # KiB
		trap '' XFSZ
		exec "$tool" build -q --from "$tmp/good.tar" -o "$tmp/out/image" 2>"$tmp/.err"
	) || rc=$?
	is "$rc" 1 && is "$(wc -l <"$tmp/.err")" 1 && is "$(ls -A "$tmp/out")" ''
}
check 'no room for the image: nothing is left' full

if [ "$(id -u)" -eq 0 ]; then
	as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
else
	as_user=()
fi
mkdir -m 777 "$tmp/user" "$tmp/secret"
echo x >"$tmp/secret/file"
chmod 0 "$tmp/secret/file"
chmod 711 "$tmp"
unreadable() {
	local rc=0
	"${as_user[@]}" "$tool" build --from "$tmp/secret" -o "$tmp/user/image" 2>"$tmp/.err" || rc=$?
	is "$rc" 1 && has_line "$tmp/.err" \
		"^husk-image: read '$tmp/secret': 'file': open: Permission denied$" &&
		is "$(ls -A "$tmp/user")" ''
}
check 'a file that cannot be read' unreadable

# ---- damaged images ----

"$tool" build -q --from "$tmp/mixed.tar" -o "$tmp/image"
look_damaged() {
	local seed rc what
	for seed in $(seq 1 60); do
		python3 - "$tmp/image" "$tmp/bad" "$seed" <<-'PY'
			import random, sys
			raw = bytearray(open(sys.argv[1], "rb").read())
			r = random.Random(int(sys.argv[3]))
			used = [k for k, b in enumerate(raw) if b]
			for _ in range(r.randrange(1, 30)):
			    raw[r.choice(used)] = r.randrange(256)
			open(sys.argv[2], "wb").write(raw)
		PY
		for what in info 'ls -lR'; do
			rc=0
			# shellcheck disable=SC2086 # words
			timeout 60 "$tool" $what "$tmp/bad" >"$tmp/.out" 2>"$tmp/.err" || rc=$?
			[ "$rc" -le 1 ] && [ "$(wc -l <"$tmp/.err")" = "$rc" ] || {
				echo "seed $seed, $what: status $rc"
				cat "$tmp/.err"
				return 1
			}
		done
	done
}
check 'info and ls of damaged images' look_damaged

looks() { # REGEX COMMAND...
	local line=$1 rc=0
	shift
	"$tool" "$@" >"$tmp/.out" 2>"$tmp/.err" || rc=$?
	is "$rc" 1 && is "$(wc -l <"$tmp/.err")" 1 && has_line "$tmp/.err" "^husk-image: $line$"
}
head -c 100000 "$tmp/image" >"$tmp/short"
check 'info of a cut image' looks "read '$tmp/short': image is truncated: 100000 of [0-9]+ bytes" info "$tmp/short"
check 'info of a folder' looks "read '$tmp/out': not a file system image" info "$tmp/out"
check 'info of noise' looks "read '$tmp/noise': not an ext4 image" info "$tmp/noise"
check 'info of nothing' looks "read '$tmp/none': open: No such file or directory" info "$tmp/none"
check 'ls of what is not there' looks "read '$tmp/image': '/none': no such file" ls "$tmp/image" /none
full_stdout() {
	local rc=0
	"$tool" ls "$tmp/image" >/dev/full 2>"$tmp/.err" || rc=$?
	is "$rc" 1 && is "$(cat "$tmp/.err")" 'husk-image: write stdout: No space left on device'
}
check 'a full stdout is an error' full_stdout

done_testing
