// SPDX-License-Identifier: MIT
/* LINK: vmm/cli/check.c vmm/cli/paths.c vmm/machine/kvm.c vmm/core/gmem.c */
/* LINK: vmm/arch/x86_64/msr_filter.c vmm/cli/check_jail.c vmm/jail/jail.c */
/* LINK: vmm/jail/policy.c vmm/jail/supervisor.c */
/* LINK: vmm/cli/check_report.c vmm/cli/check_settings.c vmm/jail/own_core.c */
/* LINK: vmm/arch/x86_64/probe.c vmm/cli/check_copy.c vmm/arch/x86_64/cpu.c */
/* LINK: vmm/arch/x86_64/touch.c vmm/arch/x86_64/state_restore.c */
/* LINK: vmm/arch/x86_64/state_save.c vmm/arch/x86_64/state_format.c */
/* LINK: vmm/arch/x86_64/state_check.c vmm/arch/x86_64/msrs.c */
/* LINK: vmm/arch/x86_64/cpuid.c vmm/arch/x86_64/cpuid_fit.c */
/* LINK: vmm/arch/x86_64/cpuid_rules.c vmm/arch/x86_64/boot.c */
/* LINK: vmm/arch/x86_64/fdt.c vmm/arch/x86_64/elf.c */
/* LINK: vmm/arch/x86_64/unpack.c vmm/arch/x86_64/needs.c */
/* LINK: vmm/arch/x86_64/file.c */
/* LINK: vmm/arch/x86_64/words.c vmm/arch/x86_64/host.c */
/* LINK: vmm/arch/x86_64/vm.c vmm/arch/x86_64/policy.c */
/* LINK: vmm/arch/x86_64/exit.c vmm/core/bus.c */
/* LIBS: -Wl,--wrap=ioctl -lfdt -lz */
/*
 * husk check: files of every wrong kind made here, and the machine's own KVM,
 * whatever it is: what check says must agree with what this test finds out in
 * another way (sysfs instead of a probe guest).
 */
#include "cli/check.h"

#include "lib/cleanup.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define PATH_ROOM 100

/* A folder with one file for each case. */
static char folder[] = "/tmp/husk-test-check-XXXXXX";

static const struct config plain = {.memory = 1 << 20};

/* Output of check_host; the caller frees it. */
static char *run_check(const struct config *c, unsigned how, int *r)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	assert_non_null(f);
	*r = check_host(f, c, how);
	assert_int_equal(fclose(f), 0); /* only then is `out` final */
	return out;
}

/* The line of a question, which stands behind the three columns of answer. */
static void find_line(const char *out, const char *name, char *line,
		      size_t size)
{
	size_t len = strlen(name);

	for (const char *p = out; *p; p += strcspn(p, "\n") + 1) {
		if (!strncmp(p + 3, name, len) && p[3 + len] == ' ') {
			snprintf(line, size, "%.*s", (int)strcspn(p, "\n"), p);
			return;
		}
	}
	fail_msg("no line for %s in %s", name, out);
}

static void make_file(const char *name, const void *data, size_t len,
		      char *path)
{
	auto_file f = NULL;

	snprintf(path, PATH_ROOM, "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
}

static const Elf64_Ehdr good_elf = {
	.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64},
	.e_machine = EM_X86_64,
};

/* What the check says of `name`; its exit status. */
static int expect_line(const struct config *c, const char *name,
		       const char *answer, const char *text)
{
	auto_free char *out = NULL;
	char line[400];
	int r;

	out = run_check(c, 0, &r);
	find_line(out, name, line, sizeof(line));
	assert_memory_equal(line, answer, 2);
	if (!strstr(line, text))
		fail_msg("'%s' not in '%s'", text, line);
	return r;
}

/* The same of a run with this file as kernel and image. */
static int expect_file(const char *path, const char *name, const char *answer,
		       const char *text)
{
	struct config c = plain;

	c.kernel = path;
	c.image = path;
	return expect_line(&c, name, answer, text);
}

static void expect_kernel(const char *path, const char *answer,
			  const char *text)
{
	int r = expect_file(path, "kernel", answer, text);

	if (!strcmp(answer, "no"))
		assert_int_equal(r, 1);
}

/* A KVM that lacks this capability, besides what it lacks already. */
static int hidden_cap = -1;

/* One that refuses this call. */
static unsigned long refused_request;

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	if (request == refused_request) {
		errno = EINVAL;
		return -1;
	}
	if (request == KVM_CHECK_EXTENSION && (intptr_t)arg == hidden_cap)
		return 0;
	return __real_ioctl(fd, request, arg);
}

static void expect_templates(const char *answer, const char *text)
{
	expect_line(&plain, "templates", answer, text);
}

static void test_templates(void **state)
{
	auto_fd kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	(void)state;
	if (kvm < 0) {
		expect_templates("- ", "for templates");
		return;
	}
	expect_templates("ok", "for templates");
	hidden_cap = KVM_CAP_XCRS;
	expect_templates("no", "KVM_CAP_XCRS is missing");
	hidden_cap = -1;
	/* What a copy needs is done, not asked. */
	refused_request = KVM_SET_LAPIC;
	expect_templates("no", "a copy of a few instructions: restore vCPU 0: "
			       "KVM_SET_LAPIC: Invalid argument");
	refused_request = 0;
}

static void test_kernels(void **state)
{
	Elf64_Ehdr elf = good_elf;
	char path[PATH_ROOM];

	(void)state;
	make_file("good", &elf, sizeof(elf), path);
	expect_kernel(path, "ok", "(ELF, 0 KiB)");
	make_file("gzip", "\x1f\x8b\x08\0", 4, path);
	expect_kernel(path, "ok", "(gzip, 0 KiB)");
	make_file("short", &elf, sizeof(elf) - 1, path);
	expect_kernel(path, "no", "is not an x86-64 vmlinux");
	make_file("empty", "", 0, path);
	expect_kernel(path, "no", "is not an x86-64 vmlinux");
	elf.e_machine = EM_AARCH64;
	make_file("arm", &elf, sizeof(elf), path);
	expect_kernel(path, "no", "is not an x86-64 vmlinux");
	elf = good_elf;
	elf.e_ident[EI_CLASS] = ELFCLASS32;
	make_file("elf32", &elf, sizeof(elf), path);
	expect_kernel(path, "no", "is not an x86-64 vmlinux");
	expect_kernel(folder, "no", "is a directory");
	expect_kernel("/dev/null", "no", "is a special file");
	expect_kernel("/nonexistent/k", "no", "No such file or directory");
	expect_kernel(path, "no", path);
}

static void expect_image(const char *path, const char *answer, const char *text)
{
	expect_file(path, "image", answer, text);
}

static void test_images(void **state)
{
	static char block[4096];
	char path[PATH_ROOM];

	(void)state;
	block[1080] = 0x53;
	block[1081] = (char)0xef;
	make_file("good.ext4", block, sizeof(block), path);
	expect_image(path, "ok", "(ext4, 4 KiB)");
	make_file("cut.ext4", block, 1081, path);
	expect_image(path, "no", "has no ext4 file system");
	block[1081] = 0;
	make_file("zero.ext4", block, sizeof(block), path);
	expect_image(path, "no", "has no ext4 file system");
	expect_image(folder, "no", "is a directory");
	expect_image("/nonexistent/i", "no", "No such file or directory");
}

static void test_memory(void **state)
{
	struct config c = plain;
	auto_free char *little = NULL, *much = NULL;
	char line[400];
	int r;

	(void)state;
	little = run_check(&c, 0, &r);
	find_line(little, "memory", line, sizeof(line));
	assert_memory_equal(line, "ok", 2);
	c.memory = 1ull << 50;
	much = run_check(&c, 0, &r);
	find_line(much, "memory", line, sizeof(line));
	assert_memory_equal(line, "no", 2);
	assert_int_equal(r, 1);
	assert_non_null(strstr(much, "--memory=SIZE"));
}

/* No answer without a line, no "no" without a hint, one verdict. */
static void test_shape(void **state)
{
	auto_free char *out = NULL;
	char *line, *rest, *before = NULL;
	unsigned nr_no = 0, nr_hint = 0, nr = 0;
	int r;

	(void)state;
	out = run_check(&plain, 0, &r);
	assert_null(strchr(out, '\033'));
	for (line = strtok_r(out, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		nr++;
		nr_no += !strncmp(line, "no ", 3);
		if (!strncmp(line, "       -> ", 10)) {
			nr_hint++;
			assert_memory_equal(before, "no ", 3);
		}
		before = line;
	}
	assert_true(nr > 10);
	assert_int_equal(nr_no, nr_hint);
	assert_string_equal(before, r ? "this host is not fit to run jobs"
				      : "this host is fit to run jobs");
	assert_int_equal(r, nr_no != 0);
}

static void test_colour(void **state)
{
	auto_free char *out = NULL;
	int r;

	(void)state;
	out = run_check(&plain, CHECK_COLOUR, &r);
	assert_non_null(strstr(out, "\033[32mok \033[0m"));
}

/* A path that would drive the terminal, or break the JSON, does neither. */
static void test_hostile_path(void **state)
{
	struct config c = plain;
	auto_free char *human = NULL, *json = NULL;
	int r;

	(void)state;
	c.kernel = "/tmp/\033[2J\"\n\xff";
	human = run_check(&c, 0, &r);
	assert_null(strchr(human, '\033'));
	assert_non_null(strstr(human, "'/tmp/\\033[2J\"\\012\\377'"));
	json = run_check(&c, CHECK_JSON, &r);
	assert_non_null(strstr(json, "'/tmp/\\u001b[2J\\\"\\n\\ufffd'"));
	assert_ptr_equal(strchr(json, '\n'), json + strlen(json) - 1);
}

static void test_json(void **state)
{
	auto_free char *json = NULL;
	int r;

	(void)state;
	json = run_check(&plain, CHECK_JSON | CHECK_COLOUR, &r);
	assert_memory_equal(json, "{\"husk_check\":1,\"fit\":", 22);
	assert_non_null(strstr(json, r ? "\"fit\":false" : "\"fit\":true"));
	assert_non_null(strstr(json, "{\"name\":\"kvm_cap_split_irqchip\","));
	assert_non_null(strstr(json, "{\"name\":\"memory\",\"ok\":true,"));
	assert_null(strchr(json, '\033'));
}

/* Strict asks more, says so at the end, and is never kinder than plain. */
static void test_strict(void **state)
{
	auto_free char *plainly = NULL, *strictly = NULL, *json = NULL;
	char line[400];
	int r, strict;

	(void)state;
	plainly = run_check(&plain, 0, &r);
	strictly = run_check(&plain, CHECK_STRICT, &strict);
	find_line(strictly, "ksm", line, sizeof(line));
	find_line(strictly, "favordynmods", line, sizeof(line));
	assert_null(strstr(plainly, "ksm"));
	assert_true(strict >= r);
	if (strstr(strictly, "this host is fit"))
		assert_non_null(strstr(strictly,
				       strict ? "it is not set up for" :
						"it is set up for"));
	json = run_check(&plain, CHECK_STRICT | CHECK_JSON, &strict);
	assert_non_null(strstr(json, strict ? "\"strict\":false" :
					      "\"strict\":true"));
}

static bool is_loaded(const char *module)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return !access(path, F_OK);
}

static void test_own_kvm(void **state)
{
	auto_fd kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	auto_free char *out = NULL;
	struct stat st;
	char line[400];
	int r;

	(void)state;
	out = run_check(&plain, 0, &r);
	find_line(out, "kvm_present", line, sizeof(line));
	assert_memory_equal(line, stat("/dev/kvm", &st) ? "no" : "ok", 2);
	find_line(out, "kvm_hardware", line, sizeof(line));
	if (kvm < 0) {
		assert_memory_equal(line, "- ", 2);
		assert_int_equal(r, 1);
	} else if (is_loaded("kvm_amd") || is_loaded("kvm_intel")) {
		assert_memory_equal(line, "ok", 2);
		assert_non_null(strstr(line, "hardware KVM"));
	} else if (is_loaded("kvm_pvm")) {
		assert_memory_equal(line, "no", 2);
		assert_non_null(strstr(line, "software KVM (kvm_pvm)"));
		assert_int_equal(r, 1);
	}
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_kernels),
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_colour),
		cmocka_unit_test(test_hostile_path),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_own_kvm),
	};

	return cmocka_run_group_tests_name("check", tests, make_folder,
					   remove_folder);
}
