# SPDX-License-Identifier: MIT
# The set-up, the demo and the installation: targets deps, setup, run, lint,
# format-check, install and uninstall. The products themselves are made by the
# other folders' rules; `setup` only names them.
#
# Packages come first and in a way of their own: this Makefile asks the
# compiler what it can do while it is read, which is too early on a machine
# that has none. So the packages are a makefile that make has to remake before
# anything else: when tools/deps installs something, it is touched, and make
# reads everything again, now with a compiler. When nothing is missing (30 ms
# to find out) it keeps its date and make goes on.

# Goals which install nothing; DEPS=0 switches it off for all. Each other goal
# has what it needs, and a goal that is not named here gets everything. A run
# needs the lab where there is no KVM; where there is one that cannot run
# guests, tools/demo finds that out and makes the lab.
DEPS	  ?= 1
NO_DEPS	  := help deps clean distclean install uninstall
NEEDY	  := $(filter-out $(NO_DEPS),$(MAKECMDGOALS))
comma	  := ,
needs	   = $(if $(filter $(1),$(NEEDY)),$(comma)$(2))
NO_KVM	  := $(shell [ -r /dev/kvm ] && [ -w /dev/kvm ] || echo run)
FEW_NEEDS := run $(BUILD)/% kernel image lab-% check lint fuzz coverage \
	     format format-check test-programs test-unit-programs prove \
	     test-distros compile-check
DEPS_AREAS := build$(call needs,run kernel $(BUILD)/vmlinux,kernel)$(\
	)$(call needs,run image test-distros $(BUILD)/base.ext4,image)$(\
	)$(call needs,$(NO_KVM) $(BUILD)/lab/% lab-%,lab)$(\
	)$(call needs,check lint fuzz coverage format format-check test-programs \
	test-unit-programs compile-check $(BUILD)/test/%,test)$(call needs,prove,prove)
ifneq ($(filter-out $(FEW_NEEDS),$(NEEDY)),)
DEPS_AREAS := build,kernel,image,lab,test$(call needs,test,prove)
endif
ifneq ($(NEEDY),)
# make remakes its makefiles even with -n and -q, which promise to do nothing.
ifeq ($(DEPS)$(findstring n,$(firstword -$(MAKEFLAGS)))$(findstring \
	q,$(firstword -$(MAKEFLAGS))),1)
$(shell mkdir -p $(BUILD) && [ -e $(BUILD)/packages.mk ] || \
	: >$(BUILD)/packages.mk)
include $(BUILD)/packages.mk
endif
endif

$(BUILD)/packages.mk: FORCE
	@tools/deps --areas $(DEPS_AREAS) >/dev/null || { \
		tools/deps --install --areas $(DEPS_AREAS) && touch $@; }

RUN_PRODUCTS := $(BUILD)/vmlinux $(BUILD)/base.ext4 $(BUILD)/husk \
		$(BUILD)/husk-image

.PHONY: deps setup run install uninstall distclean lint format format-check

deps: ## say which packages are missing
	@tools/deps

# Two makes at once would write the same files: what builds much is built by a
# make below, of which one at a time works. What runs afterwards is not locked.
LOCKED = +@mkdir -p $(BUILD) && flock -o $(BUILD)/make.lock \
	 $(MAKE) --no-print-directory DEPS=0
.PHONY: setup-files run-files
run-files: $(RUN_PRODUCTS)
setup-files: run-files $(BUILD)/lab/ready

setup: ## packages, kernel, base image, tools and lab
	$(LOCKED) setup-files

# JOB= picks another example, see tools/demo --help.
run: ## set up, then run a job in a microVM (JOB=, HUSK_HOST=)
	$(LOCKED) run-files
	@tools/demo $(JOB)

lint: ## check the sources' rules (layers, bans, sizes, shell, ...)
	@tests/lint/all.sh

# The C files which are ours to format.
FORMAT_SRC = $(shell find vmm guest-init rootfs-builder include examples \
	     tests bench -name '*.[ch]' 2>/dev/null | sort)
# Each version formats otherwise, so it is this one or none: CLANG_FORMAT= is
# where it has another name.
CLANG_FORMAT ?= clang-format-14
format-check: ## say which C files clang-format 14 would change
	@$(CLANG_FORMAT) --version | grep -q 'version 14\.' || { echo \
		'format-check: needs clang-format 14 (CLANG_FORMAT=)' >&2; exit 1; }
	@bad=0; for f in $(FORMAT_SRC); do \
		$(CLANG_FORMAT) "$$f" | cmp -s - "$$f" || { echo "$$f"; bad=1; }; \
	done; exit $$bad

format: ## let clang-format change them
	@$(CLANG_FORMAT) -i $(FORMAT_SRC)

BINDIR	 := $(DESTDIR)$(PREFIX)/bin
DATADIR	 := $(DESTDIR)$(PREFIX)/share/husk
MANDIR	 := $(DESTDIR)$(PREFIX)/share/man/man1
DOCDIR	 := $(DESTDIR)$(PREFIX)/share/doc/husk
MANPAGES := $(wildcard docs/*.1)
DOCS	 := $(wildcard LICENSE README.md CHANGELOG.md)

# The kernel and the image go along when they were built; husk-image can make
# an image, and --kernel and --image can name others.
install: $(BUILD)/husk $(BUILD)/husk-image ## install to DESTDIR and PREFIX
	install -d $(BINDIR) $(DATADIR) $(MANDIR) $(DOCDIR)
	install -m 755 $^ $(BINDIR)/
	for f in $(wildcard $(BUILD)/vmlinux $(BUILD)/base.ext4); do \
		install -m 644 $$f $(DATADIR)/ || exit; done
	for f in $(MANPAGES); do \
		install -m 644 $$f $(MANDIR)/ || exit; done
	install -m 644 $(DOCS) $(DOCDIR)/

uninstall: ## remove what install put there
	rm -f $(BINDIR)/husk $(BINDIR)/husk-image
	rm -f $(addprefix $(MANDIR)/,$(notdir $(MANPAGES)))
	rm -rf $(DATADIR) $(DOCDIR)

distclean: ## remove all that was built or downloaded
	rm -rf $(BUILD)
