# SPDX-License-Identifier: MIT
# Defines the product build/guest-init: PID 1, static, linked with musl, since
# every byte and every touched page of it is guest memory. The kernel's headers
# come after musl's own.

GUEST_CC     ?= musl-gcc
GUEST_SRC    := $(sort $(wildcard guest-init/*.c)) vmm/lib/err.c
GUEST_OBJ    := $(patsubst %.c,$(BUILD)/guest/%.o,$(GUEST_SRC))
GUEST_ARCH   := $(shell $(CC) -print-multiarch 2>/dev/null)
GUEST_WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla -Wundef \
		-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wformat=2 \
		-Wconversion -Wsign-conversion -Wwrite-strings \
		$(if $(filter 1,$(WERROR)),-Werror)
GUEST_CFLAGS := $(STD) $(INC) -Iguest-init $(GUEST_WARN) -Os -g \
		-fno-pie -fno-asynchronous-unwind-tables -fno-stack-protector \
		-ffunction-sections -fdata-sections \
		-idirafter /usr/include -idirafter /usr/include/$(GUEST_ARCH)
GUEST_LDFLAGS := -static -no-pie -Wl,--gc-sections,--build-id=none \
		-Wl,-z,noexecstack,-z,noseparate-code,-z,norelro

guest_STAMP := $(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS)

$(BUILD)/guest/%.o: %.c $(BUILD)/.flags-guest
	$(call say,CC.guest,$<)
	@mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/guest-init: $(GUEST_OBJ)
	$(call say,LD,$@)
	$(Q)$(GUEST_CC) $(GUEST_LDFLAGS) -o $@.dbg $(GUEST_OBJ)
	$(Q)strip -o $@ $@.dbg

-include $(GUEST_OBJ:.o=.d)
