# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# Looks around from inside a job: who it is, what it can reach, what it is
# refused. Facts go to stdout, refusals to stderr, their number to fd 3.
set -u

newline='
'
refused=0
tried=0
# attempt WORDS CMD...: a thing that a job must not be able to do.
attempt() {
	what=$1
	shift
	tried=$((tried + 1))
	if why=$("$@" 2>&1); then
		echo "$what: done" >&2
	else
		refused=$((refused + 1))
		why=${why%%"$newline"*}
		echo "$what: refused${why:+ (${why##*: })}" >&2
	fi
}

echo "kernel:     $(uname -sr)"
echo "user:       $(id -u):$(id -g)"
echo "host name:  $(uname -n)"
echo "work dir:   $(pwd), with $(find . -mindepth 1 | wc -l) files"
echo "interfaces: $(sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev | xargs)"
printf 'open files: '
find /proc/$$/fd -mindepth 1 -printf '%f ' | tr -d '\n'
echo
echo "memory:     $(awk '/MemTotal/ {print int($2 / 1024) " MiB"}' /proc/meminfo)"
echo "/tmp:       $(df -k /tmp | awk 'NR == 2 {print $2 " KiB, " $3 " used"}')"

attempt "write to /usr" touch /usr/husk-was-here
attempt "become root" chroot / true
attempt "mount a file system" mount -t tmpfs none /tmp
attempt "set the clock" date -s 2000-01-01
attempt "read the disk" head -c 1 /dev/vda

echo "{\"tried\":$tried,\"refused\":$refused}" >&3
