# SPDX-License-Identifier: MIT
# Targets test, check, fuzz. Unit tests and the replay of fuzz corpora are
# built with sanitizers; tests/run runs everything and counts.

include $(wildcard tests/lab/*.mk)

LIB_SAN	   := $(patsubst %.c,$(BUILD)/san/%.o,$(LIB_SRC))
TEST_SRC   := $(wildcard tests/unit/test_*.c tests/fuzz/fuzz_*.c)
UNIT_TESTS :=
REPLAYS	   :=

$(BUILD)/tests.mk: tests/mkrules $(TEST_SRC) tests/unit tests/fuzz
	@mkdir -p $(@D)
	@tests/mkrules >$@.$$$$ && mv $@.$$$$ $@
ifeq ($(filter help deps clean distclean install,$(MAKECMDGOALS)),)
include $(BUILD)/tests.mk
endif

# cmocka 2 would have other names used, which cmocka 1 has not.
$(BUILD)/san/tests/%.o: private SAN_CFLAGS += -Wno-deprecated-declarations

$(BUILD)/test/unit/%:
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -o $@ $^ -lcmocka $(TEST_LIBS) -pthread

$(BUILD)/test/replay/%:
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -o $@ $^ $(TEST_LIBS) -pthread

# libFuzzer is clang's: its own build, straight from the sources.
$(BUILD)/test/fuzz/%: FORCE
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)clang $(STD) $(INC) $(IMAGE_INC) $(DEFS) -O1 -g \
		-fsanitize=fuzzer,$(SAN) -fno-sanitize-recover=all -o $@ $(filter %.c,$^) \
		$(LIB_SRC) $(TEST_LIBS) -pthread

RAW_TESTS := $(patsubst tests/raw/%.c,$(BUILD)/test/raw/%, \
	     $(wildcard tests/raw/raw_*.c))
RAW_SAN	  := $(patsubst %,$(BUILD)/san/%.o,$(basename $(HUSK_SRC) \
	     vmm/machine/init_blob.S))
RAW_KIT	  := $(patsubst %,$(BUILD)/san/%.o,tests/raw/machine tests/raw/guest \
	     tests/raw/stage \
	     tests/raw/state_box tests/raw/state_guest tests/unit/mockdrv)
$(RAW_TESTS): $(BUILD)/test/raw/%: $(BUILD)/san/tests/raw/%.o $(RAW_KIT) \
		$(RAW_SAN) $(LIB_SAN)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -o $@ $^ -lcmocka $(HUSK_LIBS)

.PHONY: test check test-programs test-unit-programs fuzz prove
prove: ## prove the translation of addresses and the rings
	@tests/prove/run

# Hostile kernels, and a husk whose init is hostile, for tests/e2e.
HOSTILE_GUESTS := $(patsubst %,$(BUILD)/test/hostile/%,hlt spin triple reset \
		  windows ports log timer rings flood reads)
$(HOSTILE_GUESTS): $(BUILD)/test/hostile/%: tests/hostile/guest.S
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -nostdlib -static -DGUEST_$* -Wl,-Ttext-segment=0x1000000 \
		-Wl,--build-id=none -o $@ $<

$(BUILD)/test/hostile/init: tests/hostile/init.c $(BUILD)/.flags-guest
	$(call say,CC.guest,$<)
	@mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -o $@ $<
	$(Q)strip $@

$(BUILD)/test/hostile/init_blob.o: vmm/machine/init_blob.S $(BUILD)/test/hostile/init
	$(Q)$(CC) $(PLAIN_CFLAGS) -DGUEST_INIT='"$(BUILD)/test/hostile/init"' \
		-c -o $@ $<

$(BUILD)/test/hostile/husk: $(filter-out %/init_blob.o,$(HUSK_OBJ)) \
		$(BUILD)/test/hostile/init_blob.o
	$(call say,LD,$@)
	$(Q)$(CC) $(PLAIN_CFLAGS) $(PLAIN_LDFLAGS) -o $@ $^ $(HUSK_LIBS)

# All that is of no architecture, compiled for another one. What stays open are
# the names that a port brings, for tests/shell/test_ports.sh. ALSO= names
# more sources. Of the host's headers it sees those of libraries alone.
CROSS	   ?= aarch64-linux-gnu-
CROSS_SRC  := $(LIB_SRC) $(filter-out vmm/arch/%,$(HUSK_SRC)) vmm/cli/main.c \
	      $(wildcard guest-init/*.c) $(IMAGE_SRC)
CROSS_OBJ  := $(patsubst %.c,$(BUILD)/cross/%.o,$(CROSS_SRC) $(ALSO))
CROSS_LIBS := $(foreach d,/usr/include /usr/include/$(GUEST_ARCH),\
	      $(wildcard $(addprefix $d/,zlib.h zconf.h ext2fs e2p et)))
CROSS_CFLAGS := $(STD) $(INC) $(WARN) -O2 -idirafter $(BUILD)/cross/include \
	      -idirafter $(BUILD)/cross/include/$(GUEST_ARCH)
cross_STAMP := $(CROSS) $(CROSS_CFLAGS) $(CROSS_LIBS)

$(BUILD)/cross/include: $(BUILD)/.flags-cross
	@rm -rf $@ && mkdir -p $@/$(GUEST_ARCH)
	@$(foreach f,$(CROSS_LIBS),ln -s $f $(f:/usr/include/%=$@/%);)

$(BUILD)/cross/rootfs-builder/%.o: private CROSS_CFLAGS += $(IMAGE_INC)
$(BUILD)/cross/%.o: %.c $(BUILD)/cross/include
	$(call say,CC.cross,$<)
	@mkdir -p $(@D)
	$(Q)$(CROSS)gcc $(CROSS_CFLAGS) $(DEFS_$(basename $(notdir $<))) \
		-MMD -MP -c -o $@ $<

.PHONY: compile-check
compile-check: $(CROSS_OBJ) ## compile for another architecture (CROSS=)

test-unit-programs: $(UNIT_TESTS) $(REPLAYS) $(RAW_TESTS)
test-programs: test-unit-programs $(HOSTILE_GUESTS) $(BUILD)/test/hostile/husk

test: ## set up, then run all tests
	$(LOCKED) setup-files test-programs
	@tests/run

check: ## the fast part: lint, unit tests, fuzz corpora
	$(LOCKED) test-programs
	@tests/run unit replay lint

# Hours each, and so not part of `make test`, which has a few suites of them.
.PHONY: test-distros test-cpus test-kernels
test-kernels: ## the suites on the oldest, the default and the newest kernel
	$(LOCKED) setup-files test-programs
	@tests/run all-kernels

test-cpus: ## the suites on a host with two CPUs
	$(LOCKED) setup-files test-programs
	@tests/run all-cpus

test-distros: ## make run and check in bare Debian and Ubuntu (DISTROS=, FULL=1)
	@BUILD='$(BUILD)' DISTROS='$(DISTROS)' FULL='$(FULL)' tests/distros

HOSTILE := $(filter $(BUILD)/test/raw/raw_hostile_%,$(RAW_TESTS)) \
	   $(HOSTILE_GUESTS) $(BUILD)/test/hostile/husk
.PHONY: check-hostile coverage
check-hostile: ## guests that break every rule of the devices
	$(LOCKED) setup-files $(HOSTILE)
	@tests/run hostile

# Its own build, in build/cov: other flags, nothing of the other mixed in.
coverage: ## lines of guest-reachable code that tests run, >= 95 %
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/cov SAN=undefined \
		CFLAGS=--coverage test-unit-programs
	@BUILD='$(BUILD)' tests/coverage

TARGET	?= virtq
SECONDS	?= 60
fuzz: $(BUILD)/test/fuzz/fuzz_$(TARGET) ## fuzz TARGET= for SECONDS=
	@mkdir -p $(BUILD)/test/corpus/$(TARGET) tests/fuzz/corpus/$(TARGET)
	$(BUILD)/test/fuzz/fuzz_$(TARGET) -max_total_time=$(SECONDS) \
		-print_final_stats=1 -artifact_prefix=$(BUILD)/test/crash- \
		$(BUILD)/test/corpus/$(TARGET) tests/fuzz/corpus/$(TARGET)
