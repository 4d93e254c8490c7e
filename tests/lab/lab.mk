# SPDX-License-Identifier: MIT
# Defines lab-files: what tests/lab/up needs apart from QEMU for the kernel
# LAB_KERNEL, and build/lab/ready, the same for the default. A kernel is fetched
# once into build/cache/lab-kernel, into a folder of its own.

LAB_DIR	   := tests/lab
LAB_DEFAULT := $(shell sed '/^[a-z]/!d; q' $(LAB_DIR)/kernels)
ifeq ($(LAB_KERNEL),)
LAB_KERNEL := $(LAB_DEFAULT)
endif
LAB_CACHE  := $(BUILD)/cache/lab-kernel
LAB_PROGS  := $(BUILD)/lab/bin/agent $(BUILD)/lab/bin/labd \
	      $(BUILD)/lab/bin/lab-run $(BUILD)/lab/bin/probe \
	      $(BUILD)/lab/bin/mend.so
LAB_CFLAGS := $(STD) $(WARN) -O2 -g $(CFLAGS)

lab_STAMP  := $(CC) $(LAB_CFLAGS) $(abspath $(BUILD)/lab)

# Static, because it runs before there is a file system, and from RAM.
$(BUILD)/lab/bin/agent $(BUILD)/lab/bin/probe: LAB_LDFLAGS := -static
$(BUILD)/lab/bin/agent: $(LAB_DIR)/agent.c
$(BUILD)/lab/bin/labd: $(LAB_DIR)/labd.c
$(BUILD)/lab/bin/lab-run: $(LAB_DIR)/client.c
$(BUILD)/lab/bin/probe: $(LAB_DIR)/probe.c
$(BUILD)/lab/bin/mend.so: LAB_LDFLAGS := -shared -fPIC
$(BUILD)/lab/bin/mend.so: $(LAB_DIR)/mend.c

$(filter-out %/probe %/mend.so,$(LAB_PROGS)): $(LAB_DIR)/wire.c $(LAB_DIR)/wire.h

$(LAB_PROGS): $(BUILD)/.flags-lab
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LAB_CFLAGS) $(LAB_LDFLAGS) -o $@.new $(filter %.c,$^)
	$(Q)mv $@.new $@

$(LAB_CACHE)/%/version: $(LAB_DIR)/fetch-kernel
	$(Q)$(LAB_DIR)/fetch-kernel $(@D) $*
	$(Q)touch $@

$(BUILD)/lab/boot/%: $(LAB_CACHE)/%/version $(LAB_DIR)/make-initrd \
		$(LAB_DIR)/init $(BUILD)/lab/bin/agent $(BUILD)/.flags-lab
	$(call say,INITRD,$@)
	@mkdir -p $(@D) $(BUILD)/lab/share
	$(Q)$(LAB_DIR)/make-initrd $(<D) $(BUILD)/lab/bin/agent \
		'$(CURDIR)' '$(abspath $(BUILD)/lab/share)' $@
.PRECIOUS: $(LAB_CACHE)/%/version

# Once for each build folder, wherever its cache came from.
$(BUILD)/lab/bin/qemu: $(LAB_DIR)/fetch-qemu
	@mkdir -p $(@D)
	$(Q)$(LAB_DIR)/fetch-qemu $(BUILD)/cache/lab-qemu
	$(Q)touch $@

$(BUILD)/lab/ready: $(BUILD)/lab/boot/$(LAB_DEFAULT) $(LAB_PROGS) \
		$(BUILD)/lab/bin/qemu
	$(Q)touch $@

.PHONY: lab-files
lab-files: $(BUILD)/lab/boot/$(LAB_KERNEL) $(LAB_PROGS) $(BUILD)/lab/bin/qemu

.PHONY: lab-up lab-down
lab-up: $(BUILD)/lab/ready ## start the lab (a standard kvm-amd host, in QEMU)
	$(Q)BUILD='$(BUILD)' $(LAB_DIR)/up

lab-down: ## end all labs
	$(Q)BUILD='$(BUILD)' $(LAB_DIR)/down --all
