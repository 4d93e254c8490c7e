# SPDX-License-Identifier: MIT
# Defines LIB_SRC and the product build/husk. Which room may include which is
# in tests/lint/layers.sh.

LIB_SRC	  := $(sort $(wildcard vmm/lib/*.c))
ROOMS	  := core devices/virtio arch/$(ARCH) jail backends template \
	     job machine run pool cli
HUSK_SRC  := $(sort $(filter-out vmm/cli/main.c,\
	     $(wildcard $(ROOMS:%=vmm/%/*.c))))
HUSK_LIBS := -lfdt -lz -pthread

DEFS_version := $(DEFS)
DEFS_paths := $(DEFS)
version_STAMP := $(DEFS)
ASDEFS_init_blob := -DGUEST_INIT='"$(BUILD)/guest-init"'

HUSK_OBJ := $(patsubst %,$(BUILD)/obj/%.o,$(basename $(LIB_SRC) $(HUSK_SRC) \
	    vmm/cli/main.c vmm/machine/init_blob.S))

$(BUILD)/obj/vmm/machine/init_blob.o $(BUILD)/san/vmm/machine/init_blob.o: $(BUILD)/guest-init

# A new commit or prefix rebuilds what has them inside, nothing else.
$(foreach d,obj san,$(BUILD)/$(d)/vmm/job/version.o $(BUILD)/$(d)/vmm/cli/paths.o): \
	$(BUILD)/.flags-version

# Each function can be placed by itself, which vmm/order.ld does.
$(HUSK_OBJ): private PLAIN_CFLAGS += -ffunction-sections

$(BUILD)/husk: $(HUSK_OBJ) vmm/order.ld
	$(call say,LD,$@)
	$(Q)$(CC) $(PLAIN_CFLAGS) $(PLAIN_LDFLAGS) -o $@.dbg $(HUSK_OBJ) \
		-Wl,-T,vmm/order.ld $(HUSK_LIBS)
	$(Q)strip -o $@ $@.dbg
