#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What husk-image keeps. Each image is judged by e2fsck and read by debugfs,
# neither of which shares code with the writer beyond libext2fs; the lines of
# image_manifest.py for the image and for the source must be the same.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh
# shellcheck source=tests/shell/image_lib.sh
. tests/shell/image_lib.sh

# ---- a folder ----

tree=$tmp/tree
make_tree "$tree"
build_ok "$tree" "$tmp/dir.ext4"
check 'a folder: build' test -s "$tmp/dir.ext4"
check 'a folder: e2fsck finds nothing' clean "$tmp/dir.ext4"
check 'a folder: all is kept' same "dir $tree" "image $tmp/dir.ext4"

# ---- archives of it, in every format of GNU tar ----

for format in v7 oldgnu gnu ustar posix; do
	f=$tmp/$format.tar
	# v7 and ustar cannot hold long names or (v7) device files.
	case $format in
	v7) skip=(--exclude='long*' --exclude=fifo --exclude=deep) ;;
	ustar) skip=(--exclude='long*' --exclude=deep) ;;
	*) skip=() ;;
	esac
	tar -C "$tree" --format=$format "${skip[@]}" --exclude=sock -cf "$f" . 2>/dev/null
	mkdir "$tmp/$format.d"
	tar -C "$tmp/$format.d" -xpf "$f"
	build_ok "$f" "$tmp/$format.ext4"
	check "$format: e2fsck finds nothing" clean "$tmp/$format.ext4"
	check "$format: all is kept" same "dir $tmp/$format.d" "image $tmp/$format.ext4" --no-ns --no-xattrs
done

pax=$tmp/pax.tar
tar -C "$tree" --format=posix --xattrs --xattrs-include='*' --exclude=sock -cf "$pax" .
build_ok "$pax" "$tmp/pax.ext4"
check 'pax: all is kept, with ns and attributes' same "dir $tree" "image $tmp/pax.ext4" --no-sockets

# ---- sparse files, in the four ways GNU tar writes them ----

mkdir "$tmp/holes"
cp --sparse=always "$tree"/sparse* "$tmp/holes"
cp -a "$tree/sparse.odd" "$tmp/holes"
build_ok "$tmp/holes" "$tmp/holes.ext4"
for v in old 0.0 0.1 1.0; do
	f=$tmp/sparse-$v.tar
	case $v in
	old) how=(--format=gnu) ;;
	*) how=(--format=posix "--sparse-version=$v") ;;
	esac
	tar -C "$tmp/holes" "${how[@]}" -S -cf "$f" .
	check "sparse $v: the archive has holes" test "$(stat -c %s "$f")" -lt 1000000
	build_ok "$f" "$tmp/sparse-$v.ext4"
	check "sparse $v: e2fsck finds nothing" clean "$tmp/sparse-$v.ext4"
	check "sparse $v: all is kept" same "dir $tmp/holes" "image $tmp/sparse-$v.ext4" --no-ns
done

# 5 GiB and one byte, of which three blocks are stored.
mkdir "$tmp/large"
python3 - "$tmp/large/file" <<-'PY'
	import sys
	with open(sys.argv[1], "wb") as f:
	    for at in (0, 3 << 30, 5 << 30):
	        f.seek(at)
	        f.write(b"x")
PY
build_ok "$tmp/large" "$tmp/large.ext4"
check 'more than 4 GiB: e2fsck finds nothing' clean "$tmp/large.ext4"
check 'more than 4 GiB: all is kept' same "dir $tmp/large" "image $tmp/large.ext4"
check 'more than 4 GiB: the image is small' test "$(stat -c %s "$tmp/large.ext4")" -lt 300000
tar -C "$tmp/large" --format=posix -S -cf "$tmp/large.tar" .
build_ok "$tmp/large.tar" "$tmp/large2.ext4"
check 'more than 4 GiB: the same from an archive' cmp "$tmp/large.ext4" "$tmp/large2.ext4"

# ---- packed, piped ----

gzip -nk "$pax"
{
	head -c 5000 "$pax" | gzip -n
	tail -c +5001 "$pax" | gzip -n
} >"$tmp/members.tar.gz"
build_ok "$pax.gz" "$tmp/gz.ext4"
check 'gzip: the same bytes as unpacked' cmp "$tmp/pax.ext4" "$tmp/gz.ext4"
build_ok "$tmp/members.tar.gz" "$tmp/members.ext4"
check 'gzip in two members: the same bytes' cmp "$tmp/pax.ext4" "$tmp/members.ext4"
build_ok - "$tmp/pipe.ext4" < <(cat "$pax")
check 'a pipe: the same bytes' cmp "$tmp/pax.ext4" "$tmp/pipe.ext4"
build_ok - "$tmp/gzpipe.ext4" < <(cat "$pax.gz")
check 'a pipe of gzip: the same bytes' cmp "$tmp/pax.ext4" "$tmp/gzpipe.ext4"
build_ok - "$tmp/stdin.ext4" <"$pax"
check 'a file as stdin: the same bytes' cmp "$tmp/pax.ext4" "$tmp/stdin.ext4"

# ---- the same input gives the same bytes ----

build_ok "$tree" "$tmp/again.ext4"
check 'again: the same bytes' cmp "$tmp/dir.ext4" "$tmp/again.ext4"
(umask 077 && TZ=Asia/Tokyo LC_ALL=C "$tool" build -q --from "$tree" -o "$tmp/env.ext4")
check 'another umask, zone and locale: the same bytes' cmp "$tmp/dir.ext4" "$tmp/env.ext4"
check 'umask counts for the image' is "$(stat -c %a "$tmp/env.ext4")" 600
tar -C "$tree" --format=posix --xattrs --xattrs-include='*' --exclude=sock -cf "$tmp/all.tar" .
cp -a "$tree" "$tmp/nosock"
rm "$tmp/nosock/sock"
touch -r "$tree" "$tmp/nosock"
build_ok "$tmp/nosock" "$tmp/nosock.ext4"
check 'a folder and its archive: the same bytes' cmp "$tmp/nosock.ext4" "$tmp/pax.ext4"
for seed in 1 2 3; do
	odd_tar shuffled "$tmp/all.tar" $seed >"$tmp/shuffled.tar"
	build_ok "$tmp/shuffled.tar" "$tmp/shuffled.ext4"
	check "entries in another order ($seed): the same bytes" cmp "$tmp/pax.ext4" "$tmp/shuffled.ext4"
done
check 'another content has another UUID' differs \
	"$("$tool" info "$tmp/pax.ext4" | grep ^uuid)" "$("$tool" info "$tmp/large.ext4" | grep ^uuid)"

# ---- what Python's tarfile makes ----

for format in 0 1 2; do
	odd_tar kinds $format >"$tmp/kinds$format.tar"
	build_ok "$tmp/kinds$format.tar" "$tmp/kinds$format.ext4"
	check "kinds of files, format $format: e2fsck finds nothing" clean "$tmp/kinds$format.ext4"
	# ustar (0) has seven octal digits for numbers, which all of these fit.
	manifest "image $tmp/kinds$format.ext4" | sed '1d; s/ blocks .*/ blocks/' >"$tmp/kinds"
	check "kinds of files, format $format: all is kept" cmp "$tmp/kinds" <(
		cat <<-'END'
			'big' 60644 0:0 1000000000000000000 links 1 as 'big' device 259:70000
			'dir' 41777 70000:2097151 1000000000000000000 links 2
			'dir/hard' 106755 1:2 1000000000000000000 links 2 as 'dir/hard' 5000 bytes 2 blocks
			'dir/suid' 106755 1:2 1000000000000000000 links 2 as 'dir/hard' 5000 bytes 2 blocks
			'fifo' 10600 0:0 1000000000000000000 links 1 as 'fifo'
			'link' 120644 0:0 1000000000000000000 links 1 as 'link' -> b'/abs/../target'
			'null' 20644 0:0 1000000000000000000 links 1 as 'null' device 1:3
		END
	)
done

odd_tar times >"$tmp/times.tar"
build_ok "$tmp/times.tar" "$tmp/times.ext4"
check 'times: e2fsck finds nothing' clean "$tmp/times.ext4"
check 'times: the borders of ext4 are kept' is \
	"$(manifest "image $tmp/times.ext4" | sed 1d | cut -d ' ' -f 4 | tr '\n' ' ')" \
	'-2147483648000000000 -1500000000 0 1 2147483647999999999 2147483648000000000 4294967296250000000 15032385535000000000 '

odd_tar owner 4294967294 4000000000 >"$tmp/owner.tar"
build_ok "$tmp/owner.tar" "$tmp/owner.ext4"
check 'the largest owner is kept' has_owner "$tmp/owner.ext4" f 4294967294:4000000000

odd_tar caps >"$tmp/caps.tar"
build_ok "$tmp/caps.tar" "$tmp/caps.ext4"
check 'attributes in a block: e2fsck finds nothing' clean "$tmp/caps.ext4"
manifest "image $tmp/caps.ext4" >"$tmp/caps.txt"
check 'attributes in a block: all are kept' has_line "$tmp/caps.txt" \
	"'file' .* security.capability=0100000201010101010101010101010101010101 user.large=3900:[0-9a-f]{32} user.small=76616c$"

odd_tar twice >"$tmp/twice.tar"
build_ok "$tmp/twice.tar" "$tmp/twice.ext4"
check 'told twice: e2fsck finds nothing' clean "$tmp/twice.ext4"
manifest "image $tmp/twice.ext4" >"$tmp/twice.txt"
check 'told twice: the later content' has_line "$tmp/twice.txt" "'d/f' 100644 .* links 1 .* 14 bytes"
check 'told twice: the other name has the earlier' has_line "$tmp/twice.txt" "'d/h' 100644 .* links 1 .* 5 bytes"
check 'told twice: the later kind' has_line "$tmp/twice.txt" "'k' 120644 .* -> b'd'"
check 'told twice: the later mode of a folder' has_line "$tmp/twice.txt" "'d' 40711 "

odd_tar orphans >"$tmp/orphans.tar"
build_ok "$tmp/orphans.tar" "$tmp/orphans.ext4"
check 'folders not told of are made' has_line <(manifest "image $tmp/orphans.ext4") "'a/b/c' 40755 0:0 0 links 2"
check 'folders not told of: e2fsck finds nothing' clean "$tmp/orphans.ext4"

odd_tar names >"$tmp/names.tar"
mkdir "$tmp/names"
tar -C "$tmp/names" -xf "$tmp/names.tar"
build_ok "$tmp/names" "$tmp/names.ext4"
check 'odd names: e2fsck finds nothing' clean "$tmp/names.ext4"
find "$tmp/names/o" -mindepth 1 -printf '%f\n' | LC_ALL=C sort >"$tmp/names.ls"
check 'odd names are kept' cmp "$tmp/names.ls" <("$tool" ls "$tmp/names.ext4" /o | unescape | LC_ALL=C sort)

# ---- folders of all sizes ----

for last in 163 164 165; do # one block, exactly one block, two
	odd_tar edge $last >"$tmp/edge.tar"
	build_ok "$tmp/edge.tar" "$tmp/edge.ext4"
	check "a full block and a name of $last: e2fsck finds nothing" clean "$tmp/edge.ext4"
done
for shape in '1000 20' '5000 60' '8000 250'; do
	# shellcheck disable=SC2086 # two words
	odd_tar folder $shape >"$tmp/folder.tar"
	build_ok "$tmp/folder.tar" "$tmp/folder.ext4"
	check "a folder of $shape: e2fsck finds nothing" clean "$tmp/folder.ext4"
	check "a folder of $shape: is indexed" indexed "$tmp/folder.ext4" /d
	check "a folder of $shape: all names" is "$("$tool" ls "$tmp/folder.ext4" /d | wc -l)" "${shape% *}"
done
odd_tar subfolders 65001 >"$tmp/sub.tar"
build_ok "$tmp/sub.tar" "$tmp/sub.ext4"
check '65001 folders in one: e2fsck finds nothing' clean "$tmp/sub.ext4"

# ---- more files than blocks ----

# Groups of blocks are of the usual size or smaller, and all are used.
for shape in 'empty 32758' 'empty 32759' 'empty 60000' 'small 60000' 'folder 40000' 'empty 300000'; do
	# shellcheck disable=SC2086 # two words
	odd_tar many $shape 500000 >"$tmp/many.tar"
	rm -f "$tmp/many.ext4"
	build_ok "$tmp/many.tar" "$tmp/many.ext4"
	check "$shape: e2fsck finds nothing" clean "$tmp/many.ext4"
	check "$shape: all names" is "$("$tool" ls "$tmp/many.ext4" /00000 | wc -l)" "${shape#* }"
	check "$shape: hardly anything is free" test "$("$tool" info "$tmp/many.ext4" | sed -n 's/^free: //p')" -lt 300000
done
odd_tar many empty 60000 100 >"$tmp/many.tar"
build_ok "$tmp/many.tar" "$tmp/many.ext4" --free 200M
check 'many names and space: e2fsck finds nothing' clean "$tmp/many.ext4"
check 'many names and space: there is both' test "$("$tool" info "$tmp/many.ext4" | sed -n 's/^free-files: //p')" -ge 12800
build_ok "$tmp/many.tar" "$tmp/many.ext4" --size 1G
check 'many names, a given size: e2fsck finds nothing' clean "$tmp/many.ext4"
# What the refusal says is enough.
enough() {
	local kib
	"$tool" build -q --from "$tmp/many.tar" -o "$tmp/sized" --size 1M 2>"$tmp/.err" && return 1
	kib=$(sed -n 's/.*content does not fit (raise --size by \([0-9]*\) KiB or more, or leave it out)$/\1/p' "$tmp/.err")
	"$tool" build -q --from "$tmp/many.tar" -o "$tmp/sized" --size $((1024 + kib))K && clean "$tmp/sized"
}
check 'many names, too small a size: the message says how much more' enough

# ---- many extents ----

odd_tar stripes 2000 >"$tmp/stripes.tar"
mkdir "$tmp/stripes"
tar -C "$tmp/stripes" -xf "$tmp/stripes.tar"
build_ok "$tmp/stripes" "$tmp/stripes.ext4"
check '2000 extents: e2fsck finds nothing' clean "$tmp/stripes.ext4"
check '2000 extents: all is kept' same "dir $tmp/stripes" "image $tmp/stripes.ext4"

done_testing
