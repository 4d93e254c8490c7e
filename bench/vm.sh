# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What adaptors of other virtual machine monitors share. Their guest is husk's
# kernel, with devices named on its command line (bench/make-kernel), and
# /bench/guest as PID 1 on a console; see there what a console cannot do.

vm_available() {
	[ -r "${BENCH_BZIMAGE:-}" ] || die "no kernel for it (make build/bench/bzImage)"
	"$BENCH_HUSK" check --kernel "$BENCH_KERNEL" --image "$BENCH_IMAGE" >/dev/null 2>&1 ||
		die "no KVM here that runs Linux guests"
}

# vm_pci_kernel: that there is a kernel for monitors whose devices are on PCI.
vm_pci_kernel() {
	[ -r "${BENCH_PCI_KERNEL:-}" ] ||
		die "husk's kernel has no PCI (name one in BENCH_PCI_KERNEL)"
}

# vm_cmdline WORD CMD...: prints the kernel's command line, with WORD in it.
vm_cmdline() {
	local word out="root=/dev/vda ro quiet loglevel=1 panic=-1 reboot=t tsc=reliable"
	out+=" rcupdate.rcu_expedited=1 noreplace-smp swiotlb=noforce $1 init=/bench/guest --"
	[ -z "${BENCH_INPUT:-}" ] || die "a console has no end of file for the job's input"
	shift
	for word; do
		word=${word//%/%25}
		word=${word// /%20}
		word=${word//\"/%22}
		out+=" $word"
	done
	printf '%s' "$out"
}
