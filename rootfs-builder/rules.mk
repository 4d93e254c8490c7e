# SPDX-License-Identifier: MIT
# Defines the products build/husk-image and build/base.ext4. What a rebuild of
# the image needs is decided by rootfs-builder/base/build itself (a hash of its
# inputs); make only calls it when one of the files is newer or a setting
# changed.

IMAGE_SRC  := $(sort $(wildcard rootfs-builder/*.c rootfs-builder/*/*.c))
IMAGE_OBJ  := $(patsubst %,$(BUILD)/obj/%.o,$(basename $(LIB_SRC) $(IMAGE_SRC)))
IMAGE_LIBS := -lext2fs -le2p -lcom_err -lz
IMAGE_INC  := -Irootfs-builder

# What husk is made of does not see this folder; the tests see all.
$(BUILD)/obj/rootfs-builder/%.o: private PLAIN_CFLAGS += $(IMAGE_INC)
$(BUILD)/san/rootfs-builder/%.o $(BUILD)/san/tests/%.o: \
	private SAN_CFLAGS += $(IMAGE_INC)

# As for husk's: see vmm/rules.mk.
$(foreach d,obj san,$(BUILD)/$(d)/rootfs-builder/version.o): \
	$(BUILD)/.flags-version

$(BUILD)/husk-image: $(IMAGE_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(PLAIN_CFLAGS) $(PLAIN_LDFLAGS) -o $@.dbg $(IMAGE_OBJ) \
		$(IMAGE_LIBS)
	$(Q)strip -o $@ $@.dbg

DISTRO		?=
SUITE		?=
MIRROR		?=
PACKAGES_EXTRA	?=
base_STAMP	:= $(DISTRO) $(SUITE) $(MIRROR) $(PACKAGES_EXTRA)
# husk-image's sources, not itself: each commit links it anew.
BASE_INPUTS	:= $(wildcard rootfs-builder/base/*) \
		   $(filter-out %/version.c,$(IMAGE_SRC)) $(LIB_SRC) \
		   $(wildcard rootfs-builder/*.h rootfs-builder/*/*.h \
		   vmm/lib/*.h)

$(BUILD)/base.ext4: $(BASE_INPUTS) $(BUILD)/.flags-base | $(BUILD)/husk-image
	$(call say,IMAGE,$@)
	$(Q)BUILD='$(BUILD)' DISTRO='$(DISTRO)' SUITE='$(SUITE)' \
		MIRROR='$(MIRROR)' PACKAGES_EXTRA='$(PACKAGES_EXTRA)' \
		tools/step image 120 $(BUILD)/log/image.log -- \
		rootfs-builder/base/build $@

.PHONY: image
image: $(BUILD)/base.ext4 ## build the base image (DISTRO=, SUITE=, ...)
