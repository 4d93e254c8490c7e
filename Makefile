# SPDX-License-Identifier: MIT
# WERROR=0 builds with an unknown compiler; V=1 shows commands; SAN=... below.
#
# One make, no recursion: each folder adds its rules in a rules.mk. Products
# lie in build/, objects in build/obj (plain) and build/san (ASan + UBSan).
# A target that needs a package, the kernel or the image gets it by itself.

BUILD	?= build
PREFIX	?= /usr/local
WERROR	?= 1
V	?= 0
Q	:= $(if $(filter 1,$(V)),,@)
SAN	?= address,undefined
VERSION	:= 0.1.0
COMMIT	:= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help

cc-opt	= $(shell echo 'int x;' | $(CC) $(1) -Werror -xc -c - -o /dev/null \
	  2>/dev/null && echo '$(1)')
say	= @printf '  %-8s%s\n' $(1) $(2)

comma	:= ,

WARN	:= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	   -Wold-style-definition -Wvla -Wundef -Wwrite-strings \
	   -Wpointer-arith -Wcast-qual -Wformat=2 -Wimplicit-fallthrough \
	   -Wconversion -Wsign-conversion -Wnull-dereference \
	   $(call cc-opt,-Wlogical-op) $(call cc-opt,-Wduplicated-cond) \
	   $(call cc-opt,-Wduplicated-branches) \
	   $(if $(filter 1,$(WERROR)),-Werror)
# What the compiler makes code for; vmm/arch has a folder of that name.
ARCH	:= $(or $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null))),\
	   x86_64)
HARD_x86_64  := -fcf-protection=full
HARD	:= -fstack-protector-strong -fstack-clash-protection \
	   $(HARD_$(ARCH)) -fno-strict-overflow \
	   -fno-delete-null-pointer-checks -fPIE \
	   $(call cc-opt,-ftrivial-auto-var-init=zero) \
	   $(call cc-opt,-fzero-call-used-regs=used-gpr) \
	   -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
STD	:= -std=gnu17 -D_GNU_SOURCE
INC	:= -Ivmm -Iinclude
OPT	?= -O2 -g
DEFS	:= -DHUSK_VERSION_STRING='"$(VERSION)"' -DHUSK_COMMIT='"$(COMMIT)"' \
	   -DHUSK_PREFIX='"$(PREFIX)"'

PLAIN_CFLAGS := $(STD) $(INC) $(WARN) $(HARD) $(OPT) $(CFLAGS)
# Ubuntu's compiler fortifies by itself: what tests wrap has other names then.
SAN_CFLAGS   := $(STD) $(INC) $(WARN) -O1 -g -fno-omit-frame-pointer \
		-U_FORTIFY_SOURCE \
		-fsanitize=$(SAN) -fno-sanitize-recover=all $(CFLAGS)
# Relocations as bitmaps: 42 KB less of each binary.
PLAIN_LDFLAGS := -static-pie -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections \
		$(call cc-opt,-Wl$(comma)-z$(comma)pack-relative-relocs) \
		$(LDFLAGS)

# A changed compiler or flag rebuilds what it was used for. Precious, because
# make would delete the file as an intermediate one and rebuild everything.
.PRECIOUS: $(BUILD)/.flags-%
$(BUILD)/.flags-%: FORCE
	@mkdir -p $(@D); echo '$($*_STAMP)' | cmp -s - $@ || \
		echo '$($*_STAMP)' >$@
plain_STAMP := $(CC) $(PLAIN_CFLAGS)
san_STAMP   := $(CC) $(SAN_CFLAGS)

$(BUILD)/obj/%.o: %.c $(BUILD)/.flags-plain
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PLAIN_CFLAGS) $(DEFS_$(basename $(notdir $<))) -MMD -MP \
		-c -o $@ $<

$(BUILD)/san/%.o: %.c $(BUILD)/.flags-san
	$(call say,CC.san,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) $(DEFS_$(basename $(notdir $<))) -MMD -MP \
		-c -o $@ $<

$(BUILD)/obj/%.o: %.S $(BUILD)/.flags-plain
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PLAIN_CFLAGS) $(ASDEFS_$(basename $(notdir $<))) -MMD -MP \
		-c -o $@ $<

$(BUILD)/san/%.o: %.S $(BUILD)/.flags-san
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) $(ASDEFS_$(basename $(notdir $<))) -MMD -MP \
		-c -o $@ $<

# The parts. Each rules.mk says what it defines.
include $(wildcard tools/rules.mk)
include $(wildcard kernel-config/rules.mk)
include $(wildcard guest-init/rules.mk)
include $(wildcard vmm/rules.mk)
include $(wildcard rootfs-builder/rules.mk)
include $(wildcard bench/rules.mk)
include $(wildcard tests/rules.mk)

.PHONY: help clean FORCE
help: ## list the targets
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  %-14s %s\n",$$1,$$2}' \
		Makefile */rules.mk | sort

clean: ## remove what was built (downloads stay, see distclean)
	rm -rf $(BUILD)/obj $(BUILD)/san $(BUILD)/cross $(BUILD)/husk $(BUILD)/husk-image \
		$(BUILD)/guest-init

-include $(shell find $(BUILD)/obj $(BUILD)/san $(BUILD)/cross -name '*.d' \
	 2>/dev/null)
