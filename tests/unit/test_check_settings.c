// SPDX-License-Identifier: MIT
/* LINK: vmm/cli/check_settings.c vmm/jail/own_core.c */
/* LINK: vmm/arch/x86_64/host.c */
/*
 * The questions of husk check --strict, asked of hosts that are made here: a
 * folder with the files of /proc, /sys and /dev that each looks at.
 */
#include "cli/check_settings.h"

#include "lib/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[] = "/tmp/husk-test-settings-XXXXXX";

/* Folders on the way are made, too. */
static void put_file(const char *path, const char *text)
{
	char name[300];
	auto_file f = NULL;

	snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *c = name + strlen(root) + 1; (c = strchr(c, '/')); c++) {
		*c = '\0';
		mkdir(name, 0755);
		*c = '/';
	}
	f = fopen(name, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

static void remove_file(const char *path)
{
	char name[300];

	snprintf(name, sizeof(name), "%s%s", root, path);
	remove(name);
}

static void expect(const char *name, enum setting_answer answer,
		   const char *says)
{
	const struct setting *w = check_settings;
	char found[400];
	struct text t;

	while (w->name && strcmp(w->name, name))
		w++;
	assert_non_null(w->name);
	text_init(&t, found, sizeof(found));
	if (w->ask(root, &t) != answer || !strstr(found, says))
		fail_msg("%s: '%s', not %d with '%s'", name, found, answer,
			 says);
}

/* A host that tells nothing leaves all open but KSM, which is not there. */
static void empty_host(void **state)
{
	const struct setting *w;

	(void)state;
	for (w = check_settings; w->name; w++) {
		assert_true(strlen(w->hint) > 10);
		expect(w->name,
		       strcmp(w->name, "ksm") ? SETTING_OPEN : SETTING_GOOD,
		       "");
	}
}

static void one_file_each(void **state)
{
	static const struct {
		const char *name, *path, *good, *bad;
	} rows[] = {
		{ "ksm", "/sys/kernel/mm/ksm/run", "0\n", "1\n" },
		{ "smt", "/sys/devices/system/cpu/smt/active", "0\n", "1\n" },
		{ "core_pattern", "/proc/sys/kernel/core_pattern", "core\n",
		  "|/usr/bin/handler %p\n" },
		{ "overcommit", "/proc/sys/vm/overcommit_memory", "0\n",
		  "2\n" },
		{ "huge_pages", "/sys/kernel/mm/transparent_hugepage/enabled",
		  "always [madvise] never\n", "always madvise [never]\n" },
		{ "cpu_flaws", "/sys/devices/system/cpu/vulnerabilities/mds",
		  "Not affected\n", "Mitigation: Clear; SMT vulnerable\n" },
		{ "swap", "/proc/swaps",
		  "Filename Type\n/dev/zram0 partition 1 0 100\n",
		  "Filename Type\n/dev/sda2 partition 1 0 -2\n" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_file(rows[i].path, rows[i].bad);
		expect(rows[i].name, SETTING_BAD, "");
		put_file(rows[i].path, rows[i].good);
		expect(rows[i].name, SETTING_GOOD, "");
		remove_file(rows[i].path);
	}
}

static void flaws_are_named(void **state)
{
	(void)state;
	put_file("/sys/devices/system/cpu/vulnerabilities/aaa",
		 "KVM: Vulnerable\n");
	put_file("/sys/devices/system/cpu/vulnerabilities/bbb",
		 "Mitigation: all\n");
	put_file("/sys/devices/system/cpu/vulnerabilities/ccc",
		 "Vulnerable: No microcode\n");
	expect("cpu_flaws", SETTING_BAD, "open: aaa, ccc");
}

static void mounts(void **state)
{
	(void)state;
	put_file("/proc/mounts", "proc /proc proc rw,relatime 0 0\n"
				 "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
	expect("hidepid", SETTING_BAD, "");
	expect("favordynmods", SETTING_BAD, "");
	/* The last mount is the one that is seen. */
	put_file("/proc/mounts",
		 "proc /proc proc rw,relatime 0 0\n"
		 "proc /proc proc rw,hidepid=invisible 0 0\n"
		 "c /sys/fs/cgroup cgroup2 rw,favordynmods,nsdelegate 0 0\n");
	expect("hidepid", SETTING_GOOD, "");
	expect("favordynmods", SETTING_GOOD, "");
	put_file("/proc/mounts", "proc /proc proc rw,hidepid=20 0 0\n\n \nx\n");
	expect("hidepid", SETTING_BAD, "");
}

static void memory_of_a_group_above(void **state)
{
	(void)state;
	put_file("/proc/self/cgroup", "1:cpu:/x\n0::/a/b\n");
	expect("memory_bound", SETTING_BAD, "");
	put_file("/sys/fs/cgroup/a/b/memory.max", "max\n");
	expect("memory_bound", SETTING_BAD, "");
	put_file("/sys/fs/cgroup/a/memory.max", "4294967296\n");
	expect("memory_bound", SETTING_GOOD, "");
	put_file("/proc/self/cgroup", "9:memory:/old\n");
	expect("memory_bound", SETTING_OPEN, "");
}

static void device(void **state)
{
	char path[300];

	(void)state;
	put_file("/dev/kvm", "");
	snprintf(path, sizeof(path), "%s/dev/kvm", root);
	assert_int_equal(chmod(path, 0660), 0);
	expect("kvm_group", SETTING_GOOD, "mode 660");
	assert_int_equal(chmod(path, 0666), 0);
	expect("kvm_group", SETTING_BAD, "mode 666");
}

static void expect_paging(enum setting_answer answer, const char *says)
{
	char found[400];
	struct text t;

	text_init(&t, found, sizeof(found));
	assert_int_equal(check_paging.ask(root, &t), answer);
	assert_non_null(strstr(found, says));
}

static void nested_paging(void **state)
{
	(void)state;
	expect_paging(SETTING_OPEN, "no kvm_intel or kvm_amd");
	put_file("/sys/module/kvm_amd/parameters/npt", "N\n");
	expect_paging(SETTING_BAD, "kvm_amd's npt is off");
	put_file("/sys/module/kvm_amd/parameters/npt", "1\n");
	expect_paging(SETTING_GOOD, "kvm_amd's npt is on");
	put_file("/sys/module/kvm_intel/parameters/ept", "Y\n");
	expect_paging(SETTING_GOOD, "kvm_intel's ept is on");
	put_file("/sys/module/kvm_intel/parameters/ept", "0\n");
	expect_paging(SETTING_BAD, "kvm_intel's ept is off");
}

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_host),
		cmocka_unit_test(one_file_each),
		cmocka_unit_test(flaws_are_named),
		cmocka_unit_test(mounts),
		cmocka_unit_test(memory_of_a_group_above),
		cmocka_unit_test(device),
		cmocka_unit_test(nested_paging),
	};

	return cmocka_run_group_tests_name("check_settings", tests, make_root,
					   remove_root);
}
