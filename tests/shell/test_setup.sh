#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The set-up's own tools: tools/step, tools/deps, make help, make install and
# .ci/run. TAP on stdout. Nothing is installed and no network is used; what
# tools/deps would do is looked at with a package table of the test's own.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh
build=${BUILD:-build}
# What a make above says must not reach the makes below.
unset MAKEFLAGS MFLAGS MAKELEVEL

# step ARG...: status in $rc, stderr in $tmp/err.
step() {
	rc=0
	tools/step "$@" >"$tmp/out" 2>"$tmp/err" || rc=$?
}

### tools/step on a pipe

# shellcheck disable=SC2016 # for the shell below
step alpha 100 "$tmp/log/alpha.log" -- sh -c '
	echo to the log; echo also there >&2
	for p in 3 10 12 25 100; do echo "progress: $p part $p" >&3; done
	echo "not progress" >&3'
check "step passes status 0 on" is "$rc" 0
check "step keeps stdout free" is "$(cat "$tmp/out")" ""
check "step says at the start: name, estimate, log" has_line "$tmp/err" \
	"^alpha: started, about 1m40s, log: $tmp/log/alpha.log\$"
check "step shows each tenth once" is \
	"$(grep -oE ' [0-9]+ %' "$tmp/err" | tr -d '\n')" " 10 % 25 % 99 %"
check "step shows the command's words" has_line "$tmp/err" ': part 25$'
check "step says when it is done" has_line "$tmp/err" '^alpha: done in [0-9]+s$'
check "step has no escape sequences on a pipe" \
	lacks_line "$tmp/err" "$(printf '\033|\r')"
check "step logs stdout and stderr, not progress" is \
	"$(cat "$tmp/log/alpha.log")" "$(printf 'to the log\nalso there')"

step beta 5 "$tmp/log/beta.log" -- sh -c 'seq 1 50; exit 7'
check "step passes a failure's status on" is "$rc" 7
check "step names the log of a failure" has_line "$tmp/err" \
	"^beta: the whole log: $tmp/log/beta.log\$"
check "step shows the last 20 lines" is \
	"$(grep '^  | ' "$tmp/err" | tr -d '| \n')" "$(seq 31 50 | tr -d '\n')"
check "step remembers no time of a failure" test ! -e "$tmp/log/beta.time"
step gone 5 "$tmp/log/gone.log" -- /no/such/command
check "step: a missing command is 127" is "$rc" 127
# shellcheck disable=SC2016 # for the shell below
step killed 5 "$tmp/log/killed.log" -- sh -c 'kill -KILL 0'
check "step survives its command's group being killed" is "$rc" 137

echo 4000 >"$tmp/log/gamma.time"
step gamma 5 "$tmp/log/gamma.log" -- true
check "step takes the last run's time as its estimate" has_line "$tmp/err" \
	'^gamma: started, about 1h06m'
check "step: a run with nothing to do keeps the estimate" \
	is "$(cat "$tmp/log/gamma.time")" 4000
step delta 1 "$tmp/log/delta.log" -- sleep 1
check "step writes down how long a run took" \
	has_line "$tmp/log/delta.time" '^[1-9][0-9]*$'
echo 'what?' >"$tmp/log/eps.time"
step eps 65 "$tmp/log/eps.log" -- true
check "step ignores a damaged time file" \
	has_line "$tmp/err" '^eps: started, about 1m05s'
for bad in "" "a b c" "a x log -- true" "a 1 log true"; do
	# shellcheck disable=SC2086 # words are the point
	step $bad
	check "step refuses '$bad'" is "$rc" 125
done

# A make below must take fd 3 for progress, not for a jobserver's tokens.
# shellcheck disable=SC2016 # for the shell below
MAKEFLAGS='-j --jobserver-auth=3,4 V=1' step flags 5 "$tmp/log/flags.log" -- \
	sh -c 'echo "[$MAKEFLAGS]"'
check "step hides a jobserver, keeps variables" \
	is "$(cat "$tmp/log/flags.log")" "[V=1]"

# A signal ends the command and what the command started.
group_ends() { # SIGNAL WANTED
	local pid inner got=0
	rm -f "$tmp/inner"
	mkfifo "$tmp/inner"
	# An interactive shell's children heed SIGINT, a script's & ones do not.
	bash -c 'trap - INT; exec "$@"' sh env -i PATH="$PATH" \
		perl -e '$SIG{INT}="DEFAULT"; exec @ARGV' \
		tools/step zeta 5 "$tmp/log/zeta.log" -- sh -c \
		"sleep 1000 & echo \$! >$tmp/inner; wait" 2>"$tmp/err" &
	pid=$!
	read -r inner <"$tmp/inner"
	kill -s "$1" "$pid"
	wait "$pid" || got=$?
	is "$got" "$2" && ! kill -0 "$inner" 2>/dev/null &&
		has_line "$tmp/err" '^zeta: interrupted'
}
check "step: SIGINT ends the whole group" group_ends INT 130
check "step: SIGTERM ends the whole group" group_ends TERM 143

### tools/step on a terminal

script -qec "tools/step tty 5 $tmp/log/tty.log -- \
	sh -c 'echo progress: 40 half way >&3'" /dev/null >"$tmp/tty" </dev/null
check "step draws a bar on a terminal" \
	has_line "$tmp/tty" '#{8}\.{12}\] +40 %.*half way'
check "step ends the line on a terminal" has_line "$tmp/tty" 'tty: .*done'

### tools/deps

cat >"$tmp/table" <<'END'
# a comment
coreutils       | build | cmd:ls | listing
husk-no-such    | test  | cmd:husk-no-such-command | a thing nobody has
husk-no-header  | build | hdr:husk/no/such.h,cmd:ls | neither
END
rc=0
tools/deps --table "$tmp/table" >"$tmp/out" 2>&1 || rc=$?
check "deps: something missing is status 1" is "$rc" 1
check "deps names a missing package, area and reason" has_line "$tmp/out" \
	'^  husk-no-such +test +a thing nobody has$'
check "deps looks at all of several checks" \
	has_line "$tmp/out" '^  husk-no-header '
check "deps does not list what is there" lacks_line "$tmp/out" coreutils
check "deps says how to install" \
	has_line "$tmp/out" 'tools/deps --install'
rc=0
tools/deps --areas kernel --table "$tmp/table" >"$tmp/out" 2>&1 || rc=$?
check "deps looks at the areas asked for" \
	is "$rc $(cat "$tmp/out")" "0 packages: all 0 are there"

# dpkg's word alone is not enough: coreutils is installed, its "thing" is gone.
echo 'coreutils | build | cmd:husk-no-such-command,cmd:ls | x' >"$tmp/broken"
tools/deps --table "$tmp/broken" >"$tmp/out" 2>&1
check "deps tells a damaged package from a missing one, and what is gone" \
	has_line "$tmp/out" 'damaged, cmd:husk-no-such-command is gone'

# A machine of the test's own: on PATH is only what the script itself needs,
# and what a test puts there.
mkdir "$tmp/bin"
for tool in sh dirname cat printf id awk sed; do
	ln -s "$(command -v "$tool")" "$tmp/bin/$tool"
done
fake() { # NAME LINE...: a command that prints these lines
	local to=$tmp/bin/$1
	shift
	printf '#!/bin/sh\ncat <<END\n' >"$to"
	printf '%s\n' "$@" END >>"$to"
	chmod +x "$to"
}
deps_there() { # ARG...: status in $rc, output in $tmp/out
	rc=0
	env -i PATH="$tmp/bin" tools/deps "$@" >"$tmp/out" 2>&1 || rc=$?
}

# Libraries: the compiler's word, whatever other architectures have theirs.
mkdir "$tmp/native" "$tmp/foreign"
touch "$tmp/native/libhusk.a" "$tmp/foreign/libalien.a"
fake gcc "../..$tmp/native"
fake dpkg amd64
fake dpkg-query '|husk-dev:i386:ii |'
echo 'husk-dev | build | lib:libhusk.a | x' >"$tmp/libs"
deps_there --table "$tmp/libs"
check "deps looks where the compiler does" is "$rc" 0
echo 'husk-dev | build | lib:libalien.a | x' >"$tmp/libs"
deps_there --table "$tmp/libs"
check "deps: another architecture's package is not ours, damaged" \
	has_line "$tmp/out" '^  husk-dev +build +x$'
fake dpkg-query '|husk-dev:amd64:ii |'
deps_there --table "$tmp/libs"
check "deps: our architecture's is" \
	has_line "$tmp/out" '^  husk-dev +build +damaged, lib:libalien.a is gone: x$'
rm "$tmp/bin/gcc"
deps_there --table "$tmp/libs"
check "deps: without a compiler, what is installed is not put back" \
	is "$rc" 0

# Names that carry a version: what is installed, else what the archive has.
echo 'husk-dev,husk-14-dev | build | file:/no/such | x' >"$tmp/names"
fake dpkg-query ''
fake apt-cache husk-14-dev: '  Candidate: 14' husk-dev: '  Candidate: (none)'
fake apt-get
deps_there --table "$tmp/names"
check "deps names what the archive has" \
	has_line "$tmp/out" '^  husk-14-dev +build +x$'
fake apt-cache husk-dev: '  Candidate: 15' husk-14-dev: '  Candidate: 14'
deps_there --table "$tmp/names"
check "deps: the first of two" has_line "$tmp/out" '^  husk-dev +build +x$'
fake dpkg-query '|husk-14-dev:amd64:ii |'
deps_there --table "$tmp/names"
check "deps: what is installed before both" \
	has_line "$tmp/out" '^  husk-14-dev +build +damaged'

# A distribution without provers.
fake apt-cache gcc: '  Candidate: 15'
deps_there --areas prove
check "deps: no Frama-C in the archive is no failure" is "$rc $(cat "$tmp/out")" \
	"0 packages: all 0 are there (prove: not in this distribution)"
deps_there --offered --areas prove
check "deps: but it is not offered" is "$rc $(cat "$tmp/out")" "1 "
fake apt-cache gcc: '  Candidate: 15' frama-c-base: '  Candidate: 25' \
	why3: '  Candidate: 1' cvc4: '  Candidate: 1' z3: '  Candidate: 1'
deps_there --offered --areas prove
check "deps: where the archive has it, it is" is "$rc $(cat "$tmp/out")" "0 "
deps_there --areas prove
check "deps: and missing" has_line "$tmp/out" '^  frama-c-base +prove '
rm "$tmp"/bin/{apt-cache,apt-get,dpkg,dpkg-query}

# Other package managers are told of, not called.
elsewhere() { # MANAGER COMMAND
	fake "$1" called
	deps_there --install --areas build
	rm "$tmp/bin/$1"
	is "$rc" 1 && has_line "$tmp/out" "^install them with: $2 .*gcc" &&
		lacks_line "$tmp/out" ^called &&
		has_line "$tmp/out" '^tools/deps: only Debian'
}
check "deps: dnf's names" elsewhere dnf 'dnf install'
check "deps: pacman's" elsewhere pacman 'pacman -S --needed'
check "deps: apk's" elsewhere apk 'apk add'
check "deps: zypper's" elsewhere zypper 'zypper install'
deps_there --install --table "$tmp/table"
check "deps: a machine without any is a failure in one line" \
	has_line "$tmp/out" "^these are Debian's names; there is no apt-get here"
check "deps: and a status" is "$rc" 1

# An archive that is half broken: what can be had is installed all the same.
installs() {
	local dir=$tmp/apt-bin got=0
	mkdir "$dir"
	printf '#!/bin/sh\nexec "$@"\n' >"$dir/sudo"
	printf '#!/bin/sh\n' | tee "$dir/find" "$dir/dpkg-query" >"$dir/dpkg"
	printf '#!/bin/sh\necho "husk-thing:\n  Candidate: 1"\n' >"$dir/apt-cache"
	cat >"$dir/apt-get" <<-END
	#!/bin/sh
	case "\$*" in
	*update*) exit 100 ;;
	*"install --no-install-recommends husk-thing"*) touch $tmp/thing ;;
	esac
	END
	chmod +x "$dir"/*
	echo "husk-thing | build | file:$tmp/thing | x" >"$tmp/table2"
	BUILD=$tmp/apt-build PATH=$dir:$PATH tools/deps --install \
		--table "$tmp/table2" >"$tmp/out" 2>&1 || got=$?
	is "$got" 0 && has_line "$tmp/apt-build/log/packages.log" 'going on without'
}
check "deps installs though not all lists can be had" installs

# An ordinary user without sudo is told the one line to run.
as_nobody() {
	local got=0
	ln -sf "$(command -v apt-get)" "$(command -v dpkg-query)" \
		"$(command -v dpkg)" "$tmp/bin/"
	chmod 755 "$tmp" "$tmp/bin"
	cp -r tools "$tmp/tools"
	setpriv --reuid 65534 --regid 65534 --clear-groups env -i \
		PATH="$tmp/bin" sh "$tmp/tools/deps" --install \
		--table "$tmp/table" >"$tmp/out" 2>&1 || got=$?
	is "$got" 1 && has_line "$tmp/out" \
		"run: su -c 'apt-get install .*husk-no-such husk-no-header'\$"
}
if [ "$(id -u)" -eq 0 ]; then
	check "deps tells a user without root what to run" as_nobody
fi
for bad in --what "--areas" "--table /no/such"; do
	rc=0
	# shellcheck disable=SC2086 # words are the point
	tools/deps $bad >"$tmp/out" 2>&1 || rc=$?
	check "deps refuses '$bad' in one line" \
		is "$rc $(wc -l <"$tmp/out")" "1 1"
done

# The real table: known areas, no row twice, everything there (make test has
# installed it).
bad_rows() {
	! awk -F '|' '!/^#/ && NF && (NF != 4 ||
		$2 !~ /^ (build|kernel|image|lab|test|prove)(,[a-z]+)* $/ ||
		seen[$1]++)' tools/packages | grep .
}
check "packages: four fields, a known area, no row twice" bad_rows
names_of() { sed -n '/^[a-z]/s/[ ,].*//p' "$1"; }
check "packages: each has a row for other package managers" \
	diff <(names_of tools/packages) <(names_of tools/packages-elsewhere)
five_fields() { ! awk -F '|' '!/^#/ && NF && NF != 5' "$1" | grep .; }
check "packages: those have five fields" five_fields tools/packages-elsewhere
check "packages: all of them are installed" tools/deps

### tools/debian-apt, with an archive of the test's own that nobody signed

mkdir -p "$tmp/archive/dists/sid/main/binary-amd64"
: >"$tmp/archive/dists/sid/main/binary-amd64/Packages"
echo 'Suite: sid' >"$tmp/archive/dists/sid/Release"
debian_apt() { # ARG...: status in $rc, all output in $tmp/out
	rc=0
	DEBIAN_MIRROR=file://$tmp/archive tools/debian-apt "$tmp/apt" "$@" \
		>"$tmp/out" 2>&1 || rc=$?
}
debian_apt sid apt-cache show hello
check "debian-apt takes no archive without a signature" is "$rc" 1
check "debian-apt says what it lacks, and of which archive" \
	has_line "$tmp/out" "^tools/debian-apt: suite 'sid': its lists cannot be had from file://$tmp/archive, or their signature is not good\$"
check "debian-apt keeps no such lists" test ! -e "$tmp/apt/sid/complete"
for bad in "sid/.." "-x" ""; do
	debian_apt "$bad" apt-cache show hello
	check "debian-apt refuses the suite '$bad'" is \
		"$rc $(cat "$tmp/out")" "1 tools/debian-apt: suite '$bad': not a name"
done

### make

make help >"$tmp/help" 2>&1
all_targets_listed() {
	local t missing=0
	for t in help setup run test deps install uninstall lint clean \
		distclean format-check; do
		has_line "$tmp/help" "^  $t +[a-z]" || missing=1
	done
	return "$missing"
}
check "make help lists each target with its words" all_targets_listed
check "make deps says that all is there" make -s deps
areas_of() { # GOAL PATTERN
	make -pn DEPS=0 "$1" >"$tmp/make" 2>/dev/null
	has_line "$tmp/make" "^DEPS_AREAS := $2\$"
}
check "make run asks for what a run needs" \
	areas_of run 'build,kernel,image(,lab)?'
check "make check asks for no kernel and no lab" areas_of check build,test
check "make test asks for all" \
	areas_of test build,kernel,image,lab,test,prove

# While another make builds, one of ours waits for its lock.
waits() {
	local pid inode
	exec 8>"$build/make.lock"
	flock 8
	inode=$(stat -c %i "$build/make.lock")
	make -s setup >"$tmp/make" 2>&1 8>&- &
	pid=$!
	until grep -q -- "-> FLOCK .*:$inode " /proc/locks; do
		kill -0 "$pid" || return 1
		sleep 0.1
	done
	exec 8>&-
	wait "$pid"
}
check "make setup waits while another make builds" waits

dest=$tmp/dest
check "make install" make -s install DESTDIR="$dest" PREFIX=/opt/husk
check "install: husk" cmp "$build/husk" "$dest/opt/husk/bin/husk"
check "install: husk-image" \
	cmp "$build/husk-image" "$dest/opt/husk/bin/husk-image"
check "install: the kernel" \
	cmp "$build/vmlinux" "$dest/opt/husk/share/husk/vmlinux"
check "install: the base image" \
	cmp "$build/base.ext4" "$dest/opt/husk/share/husk/base.ext4"
check "install: man pages" test -f "$dest/opt/husk/share/man/man1/husk.1" \
	-a -f "$dest/opt/husk/share/man/man1/husk-image.1"
check "install: licence" \
	cmp LICENSE "$dest/opt/husk/share/doc/husk/LICENSE"
check "install: nothing outside PREFIX" is "$(ls "$dest" "$dest/opt")" \
	"$(printf '%s:\nopt\n\n%s/opt:\nhusk' "$dest" "$dest")"
installed_finds_its_files() {
	env -u HUSK_KERNEL -u HUSK_IMAGE "$dest/opt/husk/bin/husk" check \
		>"$tmp/out" 2>&1
	has_line "$tmp/out" "^ok kernel .*$dest/opt/husk/.*vmlinux" &&
		has_line "$tmp/out" "^ok image .*$dest/opt/husk/.*base.ext4"
}
check "install: husk finds its kernel and image" installed_finds_its_files
check "make uninstall" make -s uninstall DESTDIR="$dest" PREFIX=/opt/husk
check "uninstall leaves no file" is "$(find "$dest" ! -type d)" ""

### .ci/run, with a make of the test's own

# ci NAME WANTED-STATUS LAST-LINE MAKE-SCRIPT
ci() {
	local got=0
	mkdir -p "$tmp/ci/.ci" "$tmp/ci/bin"
	cp .ci/run "$tmp/ci/.ci/run"
	printf '#!/bin/sh\n%s\n' "$3" >"$tmp/ci/bin/make"
	chmod +x "$tmp/ci/bin/make"
	PATH=$tmp/ci/bin:$PATH "$tmp/ci/.ci/run" >"$tmp/out" 2>&1 || got=$?
	is "$got" "$1" && is "$(tail -n 1 "$tmp/out")" "$2"
}
check "ci: success" ci 0 "12 passed, 0 failed" \
	'[ "$*" = test ] && echo 12 passed, 0 failed'
check "ci: make's own error line does not come last" \
	ci 2 "11 passed, 1 failed" \
	'echo 11 passed, 1 failed; echo "make: *** Error 1" >&2; exit 2'
check "ci: a failed test is a failure whatever make says" \
	ci 1 "11 passed, 1 failed" 'echo 11 passed, 1 failed'
check "ci: no count is a failure" ci 1 \
	".ci/run: no tests were run: make test ended with status 1 before the count; its output: build/log/ci.log" \
	'echo all good'
check "ci: a broken set-up passes its status on" ci 2 \
	".ci/run: no tests were run: make test ended with status 2 before the count; its output: build/log/ci.log" \
	'exit 2'

done_testing
