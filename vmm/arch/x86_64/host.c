// SPDX-License-Identifier: MIT
/*
 * What an x86 host tells about its KVM, from files of its kernel.
 */
#include "arch/host.h"

#include "lib/cleanup.h"

#include <stdlib.h>
#include <string.h>

#define DEVICE "/dev/kvm"

const char host_explain_software[] =
	"use a machine with VT-x or SVM, or a virtual machine with nested "
	"virtualisation; in a checkout, tests/lab/run makes a KVM host inside "
	"QEMU";
const char host_explain_paging[] =
	"take ept=0 or npt=0 out of /etc/modprobe.d and load the module "
	"again; in a virtual machine, its host has to offer it";
const char host_explain_flaws[] =
	"newest microcode and kernel, no mitigations=off on the kernel's "
	"command line; for l1tf also kvm-intel.vmentry_l1d_flush=always "
	"and SMT off";
const char host_explain_narrow[] = "use Linux 5.10 or newer on the host";

/* True when the flags of the first CPU have this word. */
static bool has_cpu_flag(const char *flag)
{
	auto_file f = fopen("/proc/cpuinfo", "re");
	auto_free char *line = NULL;
	char *word, *rest;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		if (strncmp(line, "flags", 5))
			continue;
		for (word = strtok_r(line, " \t\n", &rest); word;
		     word = strtok_r(NULL, " \t\n", &rest))
			if (!strcmp(word, flag))
				return true;
		return false;
	}
	return false;
}

const char *host_explain_no_kvm(void)
{
	if (has_cpu_flag("svm"))
		return "modprobe kvm_amd; in a container, pass " DEVICE
		       " into it";
	if (has_cpu_flag("vmx"))
		return "modprobe kvm_intel; in a container, pass " DEVICE
		       " into it";
	if (has_cpu_flag("hypervisor"))
		return "this is a virtual machine: switch nested "
		       "virtualisation on at its host";
	return "switch VT-x or SVM on in the firmware of this machine";
}

const char *host_find_module(void)
{
	static const char *const modules[][2] = {
		{"kvm_amd", "/sys/module/kvm_amd"},
		{"kvm_intel", "/sys/module/kvm_intel"},
		{"kvm_pvm", "/sys/module/kvm_pvm"},
	};

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
		if (!access(modules[i][1], F_OK))
			return modules[i][0];
	return "no known module";
}

bool host_has_software_kvm(void)
{
	return !access("/sys/module/kvm_pvm", F_OK) &&
	       access("/sys/module/kvm_intel", F_OK) &&
	       access("/sys/module/kvm_amd", F_OK);
}

/* The first letter of a parameter; 0: its module is not loaded. */
static char read_parameter(const char *root, const char *path)
{
	char name[512];
	auto_file f = NULL;
	int c;

	snprintf(name, sizeof(name), "%s%s", root, path);
	f = fopen(name, "re");
	c = f ? fgetc(f) : 0;
	return c == EOF ? '?' : (char)c;
}

int host_pages_by_itself(const char *root, struct text *found)
{
	char ept = read_parameter(root, "/sys/module/kvm_intel/parameters/ept");
	char npt = read_parameter(root, "/sys/module/kvm_amd/parameters/npt");
	const char *name = ept ? "kvm_intel's ept" : "kvm_amd's npt";
	char value = ept ? ept : npt;

	if (!value) {
		text_printf(found, "no kvm_intel or kvm_amd that tells");
		return -1;
	}
	if (value == 'Y' || value == '1') {
		text_printf(found, "%s is on", name);
		return 1;
	}
	text_printf(found, "%s is off: guests run, but several times slower",
		    name);
	return 0;
}
