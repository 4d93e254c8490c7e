/* LINK: tests/fuzz/hostile.c tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vmmio.c */
/* LINK: vmm/devices/virtio/vdev.c vmm/devices/virtio/blk.c */
// SPDX-License-Identifier: MIT
/*
 * The disk under a hostile driver: reads stay on the disk and in guest
 * memory, one kick is bounded work, every request taken is given back.
 */
#include <linux/virtio_mmio.h>

#include "devices/virtio/blk.h"
#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_STEPS  200
#define NR_SECTORS 0x10000u

static struct mockdrv drv;
static unsigned nr_reads;
static int read_result;

static int fuzz_read(void *disk, struct iovec *iov, unsigned nr, uint64_t off)
{
	size_t len = 0;
	unsigned i;

	(void)disk;
	for (i = 0; i < nr; i++)
		len += iov[i].iov_len;
	hostile_check_iov(&drv, iov, nr, len);
	REQUIRE(len && len % BLK_SECTOR == 0 && off % BLK_SECTOR == 0);
	REQUIRE(off <= NR_SECTORS * 512ull && len <= NR_SECTORS * 512ull - off);
	/* Touch both ends of each buffer; the middle is theirs as well. */
	for (i = 0; i < nr; i++) {
		uint8_t *p = iov[i].iov_base;

		p[0] = p[iov[i].iov_len - 1] = 0x5a;
	}
	nr_reads++;
	return read_result;
}

static const struct disk_ops fuzz_disk = { fuzz_read };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct blk blk;
	struct feed f = { data, size };
	struct irq_line irq;
	unsigned i;

	mockdrv_init(&drv);
	irq = mockdrv_irq(&drv);
	blk_init(&blk, &drv.mem, &irq, &fuzz_disk, NULL, NR_SECTORS);
	mockdrv_start(&drv, &blk.vdev);
	for (i = 0; i < MAX_STEPS && f.left; i++) {
		uint8_t op = feed_u8(&f);

		nr_reads = 0;
		read_result = op & 0x80 ? 0 : -5;
		hostile_step(&f, &drv, op & 0x7f);
		hostile_check(&drv);
		REQUIRE(nr_reads <= VIRTQ_MAX_SIZE);
	}
	blk_fini(&blk);
	mockdrv_fini(&drv);
	return 0;
}
