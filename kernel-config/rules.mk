# SPDX-License-Identifier: MIT
# Defines the product build/vmlinux. What a rebuild needs is decided by
# kernel-config/build itself (a hash of its inputs); make only calls it when
# one of the files is newer or a setting changed.

KERNEL_SRC	?=
KERNEL_DEBUG	?=
kernel_STAMP	:= $(KERNEL_SRC) $(KERNEL_DEBUG)
KERNEL_INPUTS	:= $(wildcard kernel-config/*.config) kernel-config/build \
		   kernel-config/merge kernel-config/check-vmlinux \
		   kernel-config/hot kernel-config/fetch-source

$(BUILD)/vmlinux: $(KERNEL_INPUTS) $(BUILD)/.flags-kernel
	$(call say,KERNEL,$@)
	$(Q)BUILD='$(BUILD)' KERNEL_SRC='$(KERNEL_SRC)' \
		KERNEL_DEBUG='$(KERNEL_DEBUG)' \
		tools/step kernel 250 $(BUILD)/log/kernel.log -- \
		kernel-config/build $@

.PHONY: kernel
kernel: $(BUILD)/vmlinux ## build the guest kernel
