# SPDX-License-Identifier: MIT
# Target bench-cold: what it measures and how is told by bench/cold itself.

BENCH_CFLAGS := $(STD) $(WARN) -O2 $(CFLAGS)
bench_STAMP  := $(CC) $(BENCH_CFLAGS)

$(BUILD)/bench/true $(BUILD)/bench/spawn: $(BUILD)/bench/%: bench/%.c \
		$(BUILD)/.flags-bench
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_CFLAGS) -static -o $@ $<

# The smallest image that true can run from.
$(BUILD)/bench/true.ext4: $(BUILD)/bench/true $(BUILD)/husk-image
	$(call say,IMAGE,$@)
	$(Q)rm -rf $(@D)/root && mkdir -p $(@D)/root/bin && \
		cp $< $(@D)/root/bin/true && $(BUILD)/husk-image build -q \
		--from $(@D)/root --owner 0:0 -o $@

BENCH_NEEDS := $(BUILD)/husk $(BUILD)/vmlinux $(BUILD)/lab/ready \
	       $(BUILD)/bench/spawn $(BUILD)/bench/true.ext4
.PHONY: bench-cold
bench-cold: $(BENCH_NEEDS) ## time a cold run in exact lab time (ROUNDS=)
	@BUILD='$(BUILD)' bench/cold $(if $(ROUNDS),--rounds $(ROUNDS))
