#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every lint of tests/lint over the project, and each one against a small tree
# with one offence in it: a lint that finds nothing anywhere proves nothing.
# TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh

for lint in tests/lint/*.sh; do
	case $lint in
	*/all.sh | */files.sh) continue ;;
	esac
	check "the project: $(basename "$lint" .sh)" "$lint"
done

# A clean tree that passes all of them.
tree=$tmp/tree
mkdir -p "$tree/tests" "$tree/vmm/lib" "$tree/vmm/core" "$tree/vmm/arch" \
	"$tree/vmm/devices/virtio" "$tree/vmm/backends" "$tree/vmm/jail" \
	"$tree/vmm/template" "$tree/vmm/job" "$tree/vmm/machine" \
	"$tree/vmm/run" "$tree/vmm/pool" "$tree/vmm/cli" "$tree/guest-init" \
	"$tree/rootfs-builder" "$tree/include/husk"
cp -r tests/lint "$tree/tests/"

# put FILE LINE...: a file of the tree, with the opening that each must have.
put() {
	local f=$tree/$1
	shift
	{
		echo '/* SPDX-License-Identifier: MIT */'
		echo '/* A file for this test. */'
		printf '%s\n' "$@"
	} >"$f"
}
# shellcheck disable=SC2016 # for the shell below
script() { # FILE LINE...
	local f=$tree/$1
	shift
	{
		echo '#!/bin/sh'
		echo '# SPDX-License-Identifier: MIT'
		echo '# A file for this test.'
		printf '%s\n' "$@"
	} >"$f"
	chmod +x "$f"
}
put vmm/lib/a.h 'int a_one(void);'
put vmm/lib/a.c '#include "lib/a.h"' '' 'int a_one(void)' '{' '	return 1;' '}'
put vmm/core/b.h '#include "lib/a.h"'
script tests/run 'set -eu' 'echo "$1"'
for lint in bans headers layers opening print shell sizes text; do
	check "a clean tree passes: $lint" "$tree/tests/lint/$lint.sh"
done

# catches NAME LINT PATTERN FILE: the lint fails on the tree and its output
# has the pattern; the offending file then goes away again.
catches() {
	local got=0
	"$tree/tests/lint/$1.sh" >"$tmp/out" 2>&1 || got=$?
	rm -f "$tree/$3"
	is "$got" 1 && has_line "$tmp/out" "$2"
}
put vmm/lib/up.c '#include "core/b.h"'
check "layers: lib includes core" \
	catches layers 'vmm/lib/up.c:3: includes upward' vmm/lib/up.c
put vmm/backends/x.c '#include "arch/y.h"'
put vmm/arch/y.h
check "layers: backends include arch" \
	catches layers 'vmm/backends/x.c:3: a backend sees no' vmm/backends/x.c
rm "$tree/vmm/arch/y.h"
# Each room at the next lower level's door: it is told off there.
below=core
for room in devices arch jail backends template job machine run pool cli; do
	put "vmm/$room/y.h"
	put "vmm/$below/x.c" "#include \"$room/y.h\""
	check "layers: $below includes $room" catches layers \
		"vmm/$below/x.c:3: (includes upward|rooms of one level)" \
		"vmm/$below/x.c"
	rm "$tree/vmm/$room/y.h"
	below=$room
done
put vmm/template/y.h
put vmm/job/x.c '#include "template/y.h"'
check "layers: a room includes one of its level" \
	catches layers 'vmm/job/x.c:3: rooms of one level' vmm/job/x.c
rm "$tree/vmm/template/y.h"
put vmm/x.c
check "layers: a file in no room" \
	catches layers 'vmm/x.c: lies in none of the rooms' vmm/x.c
for room in core devices jail backends template job run pool cli; do
	put "vmm/$room/k.c" '#include <linux/kvm.h>'
	check "layers: KVM in $room" \
		catches layers "vmm/$room/k.c:3: KVM below" "vmm/$room/k.c"
done
put guest-init/g.c '#include "core/b.h"'
check "layers: guest-init includes vmm/core" \
	catches layers 'guest-init/g.c:3: guest-init sees only' guest-init/g.c
put rootfs-builder/r.c '#include "core/b.h"'
check "layers: rootfs-builder includes vmm/core" \
	catches layers 'rootfs-builder/r.c:3: rootfs-builder' rootfs-builder/r.c
# unseen FOLDER HEADER PATTERN: a file there must not include that.
unseen() {
	mkdir -p "$tree/rootfs-builder/$1" "$(dirname "$tree/rootfs-builder/$2")"
	put "rootfs-builder/$1/x.c" "#include \"$2\""
	put "rootfs-builder/$2"
	catches layers "rootfs-builder/$1/x.c:3: $1 does not see $3" \
		"rootfs-builder/$1/x.c" && rm "$tree/rootfs-builder/$2"
}
while read -r from to; do
	check "layers: rootfs-builder's $from includes $to" \
		unseen "$from" "$to/y.h" "$to"
done <<-'END'
	terminal tar
	tar tree
	tree tar
	source ext4
	ext4 source
	inspect source
	cellar terminal
END
check "layers: rootfs-builder's tree includes the command line" \
	unseen tree y.h 'the command line'
put vmm/devices/virtio/blk.h
put vmm/devices/virtio/con.c '#include "devices/virtio/blk.h"'
check "layers: one virtio device includes another" \
	catches layers 'con.c:3: a virtio device sees' vmm/devices/virtio/con.c
put vmm/core/m.c '#include "core/missing.h"'
check "layers: a header that is not there" \
	catches layers 'core/m.c:3: no such header' vmm/core/m.c
put vmm/core/p.h '#include "core/q.h"'
put vmm/core/q.h '#include "core/p.h"'
check "layers: a circle" catches layers 'include circle: vmm/core/[pq]$' \
	vmm/core/p.h
rm "$tree/vmm/core/q.h"

put vmm/core/h.h 'size_t h_len(void);'
check "headers: one that needs another first" \
	catches headers 'core/h.h: does not compile alone' vmm/core/h.h
put vmm/lib/a.c '#include <stdio.h>' '#include "lib/a.h"'
check "headers: own header not first" \
	catches headers "lib/a.c: includes 'stdio.h' before" vmm/lib/a.c

# banned LINE PATTERN [FILE]
banned() {
	local f=${3:-vmm/core/ban.c}
	put "$f" 'static void f(void)' '{' "	$1" '}'
	catches bans "$f:5: $2" "$f"
}
check "bans: sprintf" banned 'sprintf(b, "x");' 'knows no bounds'
check "bans: strcpy" banned 'if (strcpy(b, a))' 'knows no bounds'
check "bans: alloca" banned 'p = alloca(3);' 'knows no bounds'
check "bans: atoi" banned 'n = atoi(s);' 'loses errors'
check "bans: mktemp" banned 'mktemp(s);' 'leaves a race'
check "bans: printf in a library" banned 'printf("x");' 'only a main file'
check "bans: fprintf to stderr" banned 'fprintf(stderr, "x");' 'only a main'
check "bans: exit in a library" banned 'exit(1);' 'only a main file exits'
check "bans: open in core" banned 'fd = open(p, 0);' 'a pure layer'
allowed() {
	put vmm/core/ok.c '/* sprintf(x) and exit(1) */' \
		'// strcpy(a, b)' 'static const char *s = "atoi(x)";' \
		'x = snprintf(b, n, "x");' 'x = my_exit(1);' 'd->open(d);'
	"$tree/tests/lint/bans.sh"
}
check "bans: comments, strings and longer names are free" allowed
rm "$tree/vmm/core/ok.c"

# prints CODE PATTERN [FILE]: caught by its rule.
prints() {
	local f=${3:-vmm/run/ban.c}
	put "$f" 'static void f(FILE *f)' '{' "	$1" '}'
	catches print "$f:5: $2" "$f"
}
check "print: %s" prints 'fprintf(f, "x %s", s);' 'prints a string past'
check "print: %-.*s over two lines" prints 'fprintf(f, "x %d"
		" %-.*s", 1, 2, s);' 'prints a string past'
check "print: %c" prints 'if (x) printf("%c", c);' 'prints a string past'
check "print: a format from elsewhere" prints 'fprintf(f, fmt, 1);' 'prints with a format'
check "print: a choice of formats" prints 'fprintf(f, x ? "a" : s);' 'prints with a format'
check "print: fputs" prints 'fputs(s, f);' 'prints what is no literal'
check "print: fputc" prints 'fputc(*s, f);' 'prints what is no literal'
check "print: fwrite" prints 'fwrite(s, 1, n, f);' 'prints past' rootfs-builder/ban.c
check "print: vfprintf" prints 'vfprintf(f, fmt, ap);' 'prints past'
check "print: write to stderr" prints 'write(STDERR_FILENO, s, n);' 'prints past'
check "print: show_raw" prints 'show_raw(f, s);' 'show_raw is for'
may_print() {
	put vmm/run/ok.c '/* fputs(s, f); */' 'fputs("s", f);' "fputc('\n', f);" \
		'fprintf(f, "%5u: %" PRIu64 " %%\n", u, v);' \
		'show(f, "%s", s);' 'show_line(f, "%s", s);' \
		'text_printf(&t, "%s", s);' 'snprintf(b, n, "%s", s);' \
		'n = write(fd, s, n);'
	"$tree/tests/lint/print.sh"
}
check "print: literals, numbers, memory and lib/show.c are free" may_print
rm "$tree/vmm/run/ok.c"

echo 'int x;' >"$tree/vmm/core/o.c"
check "opening: no SPDX line" catches opening 'core/o.c: no SPDX' vmm/core/o.c
printf '// SPDX-License-Identifier: MIT\nint x;\n' >"$tree/vmm/core/o.c"
check "opening: no words" catches opening 'o.c: no opening' vmm/core/o.c

put vmm/core/t.c 'int x; '
check "text: a blank at the end" catches text 't.c:3:' vmm/core/t.c
put vmm/core/t.c 'int x;' ''
check "text: an empty line at the end" catches text 't.c: an empty' vmm/core/t.c
put vmm/core/t.c && printf 'int x;' >>"$tree/vmm/core/t.c"
check "text: no newline at the end" catches text 't.c: no newline' vmm/core/t.c
put vmm/core/t.c '/* TO''DO: more */'
check "text: a mark of unfinished work" catches text 't.c:3:' vmm/core/t.c
put vmm/core/t.c "$(printf 'int x;\r')"
check "text: a carriage return" catches text 't.c' vmm/core/t.c

many=$(yes 'int x;' | head -n 600)
put vmm/core/s.c "$many"
check "sizes: a long file" catches sizes 's.c: 602 lines' vmm/core/s.c
many=$(yes '	x();' | head -n 61)
put vmm/core/s.c 'int f(void)' '{' "$many" '}'
check "sizes: a long function" \
	catches sizes 's.c:4: 61 lines, at most 60: int f' vmm/core/s.c
put vmm/core/s.c "/* $(printf '%078d' 0) */"
check "sizes: a wide line" catches sizes 's.c:3: wider' vmm/core/s.c

# shellcheck disable=SC2016 # for the script
script tests/bad 'set -eu' 'rm -rf $1/*' 'x=$(cd /'
check "shell: what shellcheck says" catches shell 'tests/bad' tests/bad
script tests/bad 'echo x'
check "shell: no set -u" catches shell 'tests/bad: no set -u' tests/bad
script tests/bad 'set -eu' && chmod -x "$tree/tests/bad"
check "shell: not executable" catches shell 'bad: has #! but' tests/bad

done_testing
