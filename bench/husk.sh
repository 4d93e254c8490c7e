# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the adaptors of husk share: husk_run WORD... prints the command line of
# `husk run` with what the frame asks for; husk_available lets husk check say
# whether this host can run a Linux guest, and gives its reason if not.

husk_available() {
	local out
	out=$("$BENCH_HUSK" check --kernel "$BENCH_KERNEL" \
		--image "$BENCH_IMAGE" 2>&1) ||
		die "$(grep '^no ' <<<"$out" | head -n 1)"
	"$BENCH_HUSK" --version | head -n 1
}

husk_run() {
	argv "$BENCH_HUSK" run ${BENCH_STATUS:+--status "$BENCH_STATUS"} \
		${BENCH_CONSOLE:+--console "$BENCH_CONSOLE"} \
		${BENCH_DEADLINE:+--timeout "${BENCH_DEADLINE}s"} "$@"
}

# Makes $BENCH_STATE/NAME.husk, once: husk_template NAME [WORD...]
husk_template() {
	local to=$BENCH_STATE/$1.husk
	shift
	[ -e "$to" ] || "$BENCH_HUSK" template create -o "$to" \
		--kernel "$BENCH_KERNEL" --image "$BENCH_IMAGE" \
		--memory "${BENCH_MEMORY:-256M}" "$@" >&2
}
