// SPDX-License-Identifier: MIT
/*
 * Before init is in the image's root, no path is followed that the image could
 * have bent; see skeleton.c.
 *
 * Rejected: a mount namespace for the job. init keeps nothing attached, so
 * there would be nothing to separate; and pivot_root's umount waits for RCU.
 */
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fsmount.h"
#include "lib/cleanup.h"
#include "skeleton.h"

#define SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

static int mount_on(const char *type, const struct fsmount_option *options,
		    unsigned int attr, const char *path, struct err *e)
{
	auto_fd fd = fsmount_make(type, options, attr, e);

	return fd < 0 ? fd : fsmount_attach(fd, path, e);
}

int mounts_devtmpfs(struct err *e)
{
	return fsmount_make("devtmpfs", NULL, MOUNT_ATTR_NOEXEC, e);
}

int mounts_sysfs(struct err *e)
{
	return fsmount_make("sysfs", NULL,
			    SAFE | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, e);
}

int mounts_cgroup(struct err *e)
{
	return fsmount_make("cgroup2", NULL, SAFE | MOUNT_ATTR_NOEXEC, e);
}

/*
 * The disk's file system. It is opened by a node in the initramfs since the
 * devtmpfs has no path. "noload": a read-only disk cannot replay a journal,
 * and not looking at it saves its reads and its thread. The other two leave
 * out bookkeeping for writers: where metadata lies, and a cache to share
 * attribute blocks.
 */
static int mount_image(int devtmpfs, struct err *e)
{
	static const struct fsmount_option options[] = {
		{ "source", "/" MOUNTS_DISK },
		{ "ro", NULL },
		{ "noload", NULL },
		{ "noblock_validity", NULL },
		{ "nombcache", NULL },
		{ NULL, NULL },
	};
	struct stat st;

	int fd;

	if (fstatat(devtmpfs, MOUNTS_DISK, &st, 0))
		return err_set(e, ENODEV,
			       "the machine has no disk '/dev/" MOUNTS_DISK
			       "' (CONFIG_VIRTIO_BLK)");
	if (mknod("/" MOUNTS_DISK, S_IFBLK | 0600, st.st_rdev) &&
	    errno != EEXIST)
		return err_sys(e, "make the node '/" MOUNTS_DISK "'");
	fd = fsmount_make("ext4", options, SAFE | MOUNT_ATTR_RDONLY, e);
	if (fd >= 0)
		return fd;
	err_prefix(e, "the image: ");
	if (e->code == EINVAL)
		err_hint(e, "is it an ext4 file system?");
	return -e->code;
}

#define LAYER_TOP    "/skeleton"
#define LAYER_BOTTOM "/image"

/*
 * The image with what it lacks laid over it. An overlay without an upper
 * layer is read-only by its nature.
 */
static int mount_layers(int image, struct err *e)
{
	static const struct fsmount_option options[] = {
		{ "lowerdir", LAYER_TOP ":" LAYER_BOTTOM },
		{ NULL, NULL },
	};

	if (mkdir(LAYER_BOTTOM, 0755) && errno != EEXIST)
		return err_sys(e, "make '" LAYER_BOTTOM "'");
	if (fsmount_attach(image, LAYER_BOTTOM, e))
		return -e->code;
	return fsmount_make("overlay", options, SAFE | MOUNT_ATTR_RDONLY, e);
}

/* Attached on "/", a mount covers the initramfs; then everyone moves in. */
static int enter(int root, struct err *e)
{
	if (fsmount_attach(root, "/", e))
		return -e->code;
	if (fchdir(root) || chroot("."))
		return err_sys(e, "enter the image");
	return 0;
}

struct node {
	const char *name;
	unsigned int major;
	unsigned int minor;
};

static const struct node dev_nodes[] = {
	{ "null", 1, 3 },   { "zero", 1, 5 },	 { "full", 1, 7 },
	{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static const struct fsmount_option dev_links[] = {
	{ "fd", "/proc/self/fd" },	 { "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
	{ "ptmx", "pts/ptmx" },
};

static int fill_dev(int dev)
{
	for (size_t i = 0; i < sizeof(dev_nodes) / sizeof(*dev_nodes); i++) {
		const struct node *n = &dev_nodes[i];

		if (mknodat(dev, n->name, S_IFCHR | 0666,
			    makedev(n->major, n->minor)))
			return -1;
	}
	for (size_t i = 0; i < sizeof(dev_links) / sizeof(*dev_links); i++)
		if (symlinkat(dev_links[i].value, dev, dev_links[i].key))
			return -1;
	if (mkdirat(dev, "pts", 0755) || mkdirat(dev, "shm", 0755))
		return -1;
	return fsmount_set_read_only(dev);
}

static int mount_dev(struct err *e)
{
	static const struct fsmount_option options[] = {
		{ "mode", "755" },
		{ NULL, NULL },
	};
	static const struct fsmount_option pts_options[] = {
		{ "mode", "620" },
		{ "ptmxmode", "666" },
		{ NULL, NULL },
	};
	auto_fd dev = fsmount_make("tmpfs", options,
				   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, e);

	if (dev < 0)
		return dev;
	if (fill_dev(dev))
		return err_sys(e, "fill '/dev'");
	if (fsmount_attach(dev, "/dev", e))
		return -e->code;
	return mount_on("devpts", pts_options,
			MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "/dev/pts", e);
}

int mounts_root(int devtmpfs, int sysfs, struct err *e)
{
	auto_fd image = mount_image(devtmpfs, e);
	auto_fd layers = -1;
	int missing;

	if (image < 0)
		return image;
	missing = skeleton_make(image, LAYER_TOP, e);
	if (missing < 0)
		return missing;
	if (missing) {
		layers = mount_layers(image, e);
		if (layers < 0)
			return layers;
	}
	if (enter(missing ? layers : image, e))
		return -e->code;
	if (mount_on("proc", NULL, SAFE | MOUNT_ATTR_NOEXEC, "/proc", e) ||
	    fsmount_attach(sysfs, "/sys", e))
		return -e->code;
	return mount_dev(e);
}

struct place {
	const char *name; /* in the shared tmpfs */
	const char *path; /* NULL: below another place */
	mode_t mode;
	bool jobs_own;
	bool optional; /* only where the image has a folder */
};

/*
 * What any user may write to on an ordinary system, and /run and /work. Not
 * the rest of /var: it belongs to services, and images keep data there that an
 * empty folder would hide.
 */
static const struct place tmp_places[] = {
	{ "run", "/run", 0755, true, false },
	{ "run/lock", NULL, 01777, false, false },
	{ "shm", "/dev/shm", 01777, false, false },
	{ "work", "/work", 0755, true, false },
	{ "tmp", "/tmp", 01777, false, false },
	{ "vartmp", "/var/tmp", 01777, false, true },
	/* Links in most images, to /run and /run/lock. */
	{ "run", "/var/run", 0755, false, true },
	{ "run/lock", "/var/lock", 01777, false, true },
};

/*
 * The kernel's own limit (one for two pages of the machine) is too low for a
 * tree of sources in a small machine. An inode takes about 1 KiB, so empty
 * files may take as much memory again as full ones.
 */
#define BYTES_PER_INODE 1024
#define INODES_MIN	1024

#define NR_TMP_PLACES (sizeof(tmp_places) / sizeof(*tmp_places))

static bool is_folder(const char *path)
{
	struct stat st;

	return !fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISDIR(st.st_mode);
}

static int add_place(int tmpfs, const struct place *p, struct err *e)
{
	auto_fd mount = -1;

	if (p->optional && !is_folder(p->path))
		return 0;
	if (mkdirat(tmpfs, p->name, p->mode) && errno != EEXIST)
		return err_sys(e, "make the folder '%s'", p->name);
	if (!p->path)
		return 0;
	mount = fsmount_clone(tmpfs, p->name);
	if (mount < 0)
		return err_sys(e, "mount '%s'", p->path);
	return fsmount_attach(mount, p->path, e);
}

/* What can be limited later must have a limit from the beginning. */
int mounts_tmp(int initramfs, struct err *e)
{
	static const struct fsmount_option options[] = {
		{ "size", "1m" },
		{ "nr_inodes", "1024" },
		{ "mode", "755" },
		{ NULL, NULL },
	};
	auto_fd tmpfs = fsmount_make("tmpfs", options, SAFE, e);

	if (tmpfs < 0)
		return tmpfs;
	/* Only what is attached somewhere can be cloned. */
	if (mkdirat(initramfs, "tmpfs", 0700) && errno != EEXIST)
		return err_sys(e, "make 'tmpfs' in the initramfs");
	if (fsmount_attach_at(tmpfs, initramfs, "tmpfs", e))
		return -e->code;
	for (size_t i = 0; i < NR_TMP_PLACES; i++)
		if (add_place(tmpfs, &tmp_places[i], e))
			return -e->code;
	return steal_fd(&tmpfs);
}

static int resize(int tmpfs, uint64_t size, struct err *e)
{
	char bytes[24], inodes[24];
	const struct fsmount_option options[] = {
		{ "size", bytes },
		{ "nr_inodes", inodes },
		{ NULL, NULL },
	};
	auto_fd fs = (int)syscall(SYS_fspick, tmpfs, "",
				  FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);

	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)size);
	snprintf(inodes, sizeof(inodes), "%llu",
		 (unsigned long long)(INODES_MIN + size / BYTES_PER_INODE));
	if (fs < 0)
		return err_sys(e, "pick the file system 'tmpfs'");
	if (fsmount_set(fs, "tmpfs", options, e))
		return -e->code;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0))
		return err_sys(e, "resize 'tmpfs'");
	return 0;
}

int mounts_tmp_give(int tmpfs, uint64_t size, uid_t uid, gid_t gid,
		    struct err *e)
{
	if (resize(tmpfs, size, e))
		return -e->code;
	for (size_t i = 0; i < NR_TMP_PLACES; i++) {
		const struct place *p = &tmp_places[i];

		if (p->jobs_own && fchownat(tmpfs, p->name, uid, gid, 0))
			return err_sys(e, "give '%s' to the job", p->path);
	}
	return 0;
}

static const char *const proc_controls[] = {
	"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus",
	"/proc/fs",  "/proc/driver",	    "/proc/mtrr",
};

/*
 * In a user namespace, which anybody may make, a cgroup namespace lets mount
 * cgroup2; and the files that limit the job belong to uid 0.
 */
static int forbid_cgroup_namespaces(struct err *e)
{
	static const char path[] = "/proc/sys/user/max_cgroup_namespaces";
	auto_fd fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) /* no user namespaces at all */
		return 0;
	if (fd < 0 || write(fd, "0", 1) != 1)
		return err_sys(e, "write '%s'", path);
	return 0;
}

int mounts_guard_proc(struct err *e)
{
	if (forbid_cgroup_namespaces(e))
		return -e->code;
	for (size_t i = 0; i < sizeof(proc_controls) / sizeof(*proc_controls);
	     i++) {
		const char *path = proc_controls[i];
		auto_fd mount = fsmount_clone(AT_FDCWD, path);

		if (mount < 0 && errno == ENOENT)
			continue;
		if (mount < 0 || fsmount_set_read_only(mount))
			return err_sys(e, "guard '%s'", path);
		if (fsmount_attach(mount, path, e))
			return -e->code;
	}
	return 0;
}

/* The kernel makes a new UUID at each reading of the first file. */
int mounts_boot_id(int initramfs, struct err *e)
{
	auto_fd from = open("/proc/sys/kernel/random/uuid",
			    O_RDONLY | O_CLOEXEC);
	auto_fd file = -1;
	char uuid[64];
	ssize_t n = from < 0 ? -1 : read(from, uuid, sizeof(uuid));

	if (n <= 0)
		return err_sys(e, "make a boot id");
	file = fsmount_cover(initramfs, "boot_id", uuid, (size_t)n,
			     "/proc/sys/kernel/random/boot_id", e);
	return file < 0 ? file : 0;
}
