/* SPDX-License-Identifier: MIT */
/*
 * File systems: init's own, and the root that the job sees.
 *
 * What only init needs (all devices, cgroup2) is mounted but attached
 * nowhere: a descriptor in PID 1 is the only way to it, so there is no path,
 * mount table or namespace in which a job could come across it.
 *
 * The job's root is the image, read-only and nosuid, nodev. On it, each its
 * own mount: /proc, /sys (read-only), a small /dev (read-only), and /tmp,
 * /var/tmp, /run, /dev/shm and /work, which share one size-limited tmpfs. init
 * moves into that root as well; the initramfs lies under it, covered for ever.
 *
 * All functions return 0 or a descriptor, or -errno with *e set.
 */
#ifndef GUEST_INIT_MOUNTS_H
#define GUEST_INIT_MOUNTS_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

/* Mounts that are attached nowhere, as O_PATH directory descriptors. */
int mounts_devtmpfs(struct err *e);
int mounts_sysfs(struct err *e);
int mounts_cgroup(struct err *e);

/* The machine's disk; the argument of mounts_root. */
#define MOUNTS_DISK "vda"

/*
 * Make the image the root directory, with /proc, /sys and /dev. An image
 * that lacks something of what is mounted on gets an overlay with it. Consumes
 * the sysfs mount.
 */
int mounts_root(int devtmpfs, int sysfs, struct err *e);

/*
 * The writable places, of a tmpfs that holds next to nothing yet. initramfs is
 * a descriptor of the root from before mounts_root: the tmpfs as a whole is
 * attached there, where no path leads. Returns it, for mounts_tmp_give.
 */
int mounts_tmp(int initramfs, struct err *e);

/* They become the job's: `size` bytes for all, /work and /run its own. */
int mounts_tmp_give(int tmpfs, uint64_t size, uid_t uid, gid_t gid,
		    struct err *e);

/*
 * For a job of uid 0: without capabilities it is still the owner of the
 * files in /proc that steer the kernel. Make those read-only.
 */
int mounts_guard_proc(struct err *e);

/*
 * Give the machine another boot id: in a copy of a warm template the old one
 * may have been read, and the kernel makes but one. initramfs as above.
 */
int mounts_boot_id(int initramfs, struct err *e);

#endif
