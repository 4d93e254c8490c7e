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

# Goals which install nothing; DEPS=0 switches it off for all. A file asks for
# what it needs itself, a named goal such as run for everything.
DEPS	  ?= 1
NO_DEPS	  := help deps clean distclean install uninstall
NEEDY	  := $(filter-out $(NO_DEPS),$(MAKECMDGOALS))
comma	  := ,
DEPS_AREAS := build$(if $(filter $(BUILD)/vmlinux%,$(NEEDY)),$(comma)kernel)$(\
	)$(if $(filter $(BUILD)/base%,$(NEEDY)),$(comma)image)$(\
	)$(if $(filter $(BUILD)/lab/% lab-%,$(NEEDY)),$(comma)lab)
ifneq ($(filter-out $(BUILD)/% lab-%,$(NEEDY)),)
DEPS_AREAS := build,kernel,image,lab,test$(\
	)$(if $(filter test prove,$(NEEDY)),$(comma)prove)
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

PRODUCTS := $(BUILD)/vmlinux $(BUILD)/base.ext4 $(BUILD)/husk \
	    $(BUILD)/husk-image $(BUILD)/lab/ready

.PHONY: deps setup run install uninstall distclean lint format format-check

deps: ## say which packages are missing
	@tools/deps

setup: $(PRODUCTS) ## packages, kernel, base image, tools and lab

# JOB= picks another example, see tools/demo --help.
run: setup ## set up, then run a job in a microVM (JOB=, HUSK_HOST=)
	@tools/demo $(JOB)

lint: ## check the sources' rules (layers, bans, sizes, shell, ...)
	@tests/lint/all.sh

# The C files which are ours to format.
FORMAT_SRC = $(shell find vmm guest-init rootfs-builder include examples \
	     tests bench -name '*.[ch]' 2>/dev/null | sort)
format-check: ## say which C files clang-format would change
	@bad=0; for f in $(FORMAT_SRC); do \
		clang-format-14 "$$f" | cmp -s - "$$f" || { echo "$$f"; bad=1; }; \
	done; exit $$bad

format: ## let clang-format change them
	@clang-format-14 -i $(FORMAT_SRC)

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
