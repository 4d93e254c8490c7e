// SPDX-License-Identifier: MIT
/*
 * Rejected: mount(2), which can neither make a mount that no path leads to
 * nor cover a link.
 */
#include "fsmount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* Which kernel option provides a file system, for the error. */
static const struct fsmount_option fs_configs[] = {
	{ "devtmpfs", "CONFIG_DEVTMPFS" },
	{ "proc", "CONFIG_PROC_FS" },
	{ "sysfs", "CONFIG_SYSFS" },
	{ "cgroup2", "CONFIG_CGROUPS" },
	{ "ext4", "CONFIG_EXT4_FS" },
	{ "overlay", "CONFIG_OVERLAY_FS" },
	{ "tmpfs", "CONFIG_TMPFS" },
	{ "devpts", "CONFIG_UNIX98_PTYS" },
};

static int fs_missing(const char *type, struct err *e)
{
	const char *config = "";

	for (size_t i = 0; i < sizeof(fs_configs) / sizeof(*fs_configs); i++)
		if (!strcmp(fs_configs[i].key, type))
			config = fs_configs[i].value;
	return err_set(e, ENODEV, "the kernel has no file system '%s' (%s)",
		       type, config);
}

int fsmount_set(int fs, const char *type, const struct fsmount_option *options,
		struct err *e)
{
	for (; options && options->key; options++) {
		unsigned int cmd = options->value ? FSCONFIG_SET_STRING :
						    FSCONFIG_SET_FLAG;

		if (syscall(SYS_fsconfig, fs, cmd, options->key,
			    options->value, 0))
			return err_sys(e, "set '%s' of '%s'", options->key,
				       type);
	}
	return 0;
}

int fsmount_make(const char *type, const struct fsmount_option *options,
		 unsigned int attr, struct err *e)
{
	auto_fd fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	long fd;

	if (fs < 0 && errno == ENODEV)
		return fs_missing(type, e);
	if (fs < 0)
		return err_sys(e, "open the file system '%s'", type);
	if (fsmount_set(fs, type, options, e))
		return -e->code;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return err_sys(e, "mount '%s'", type);
	fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr);
	if (fd < 0)
		return err_sys(e, "mount '%s'", type);
	return (int)fd;
}

int fsmount_attach_at(int mount, int dir, const char *path, struct err *e)
{
	if (syscall(SYS_move_mount, mount, "", dir, path,
		    MOVE_MOUNT_F_EMPTY_PATH))
		return err_sys(e, "mount on '%s'", path);
	return 0;
}

int fsmount_attach(int mount, const char *path, struct err *e)
{
	return fsmount_attach_at(mount, AT_FDCWD, path, e);
}

int fsmount_set_read_only(int mount)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	return (int)syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH,
			    &attr, sizeof(attr));
}

int fsmount_clone(int dir, const char *path)
{
	return (int)syscall(SYS_open_tree, dir, path,
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}


int fsmount_cover(int dir, const char *name, const char *text, size_t len,
		  const char *path, struct err *e)
{
	auto_fd file = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0444);
	auto_fd mount = -1;

	if (file < 0 || write(file, text, len) != (ssize_t)len)
		return err_sys(e, "make a file for '%s'", path);
	mount = fsmount_clone(dir, name);
	if (mount < 0 || fsmount_set_read_only(mount))
		return err_sys(e, "mount a file for '%s'", path);
	if (fsmount_attach(mount, path, e))
		return -e->code;
	return steal_fd(&file);
}
