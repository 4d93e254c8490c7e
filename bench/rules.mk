# SPDX-License-Identifier: MIT
# Targets bench and bench-doc, see bench/README.md, and bench-cold; what each
# measures and how is told by bench/run, bench/document and bench/cold.

BENCH_CFLAGS := $(STD) $(WARN) -O2 $(CFLAGS)
bench_STAMP  := $(CC) $(BENCH_CFLAGS)
BENCH_PROGS  := $(addprefix $(BUILD)/bench/,true spawn work guest)

# Alike for all contenders: small, with a libc of little start-up of its own.
$(BENCH_PROGS): BENCH_CC := $(CC)
$(BUILD)/bench/true: BENCH_CC := $(GUEST_CC)
$(BENCH_PROGS): $(BUILD)/bench/%: bench/%.c $(BUILD)/.flags-bench
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) $(BENCH_CFLAGS) -static -o $@ $<

# The smallest image that true can run from without an overlay.
$(BUILD)/bench/true.ext4: $(BUILD)/bench/true $(BUILD)/husk-image
	$(call say,IMAGE,$@)
	$(Q)rm -rf $(@D)/small && mkdir -p $(addprefix $(@D)/small/,bin \
		proc sys dev tmp run work etc var/tmp) && \
		touch $(@D)/small/etc/hosts && \
		cp $< $(@D)/small/bin/true && $(BUILD)/husk-image build -q \
		--from $(@D)/small --owner 0:0 -o $@

# The base image and bench's own programs: as an image, and unpacked.
$(BUILD)/bench/root.ext4: $(BUILD)/base.ext4 $(BENCH_PROGS) bench/jobs.py \
		bench/make-root
	$(call say,IMAGE,$@)
	$(Q)bench/make-root $(BUILD)

# The guest kernel for the other monitors; without it they are left out.
$(BUILD)/bench/bzImage: $(BUILD)/vmlinux bench/make-kernel
	$(Q)tools/step bench-kernel 120 $(BUILD)/log/bench-kernel.log -- \
		bench/make-kernel $(BUILD) || :

BENCH_NEEDS := $(BUILD)/husk $(BUILD)/vmlinux $(BUILD)/lab/ready \
	       $(BUILD)/bench/spawn
.PHONY: bench bench-doc bench-cold
bench: $(BENCH_NEEDS) $(BUILD)/bench/root.ext4 $(BUILD)/bench/bzImage ## compare with other sandboxes (BENCH=, ROUNDS=), write docs/benchmarks.md
	@[ '$(DEPS)' != 1 ] || tools/deps --quiet --table tools/bench-packages || \
		tools/deps --install --table tools/bench-packages || :
	@rc=0; BUILD='$(BUILD)' tools/step bench 1500 $(BUILD)/log/bench.log -- \
		bench/run $(BENCH) $(if $(ROUNDS),--rounds $(ROUNDS)) || rc=$$?; \
	grep ' left out' $(BUILD)/log/bench.log || :; \
	BUILD='$(BUILD)' bench/document && exit $$rc

bench-doc: ## write docs/benchmarks.md from the numbers that are there
	@BUILD='$(BUILD)' bench/document

bench-cold: $(BENCH_NEEDS) $(BUILD)/bench/true.ext4 ## time a cold run in exact lab time (ROUNDS=)
	@BUILD='$(BUILD)' bench/cold $(if $(ROUNDS),--rounds $(ROUNDS))
