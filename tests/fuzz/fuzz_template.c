// SPDX-License-Identifier: MIT
/* LINK: vmm/template/template.c vmm/template/format.c vmm/core/gmem.c */
/* LINK: vmm/template/gather.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vdev.c */
/* LINK: vmm/devices/virtio/console.c vmm/arch/x86_64/ioapic.c */
/* LINK: vmm/arch/x86_64/words.c */
/* LIBS: -lz */
/*
 * A template's head as a stranger wrote it, its checksum made right so that
 * the parts behind it are reached, and the device states in it loaded into
 * devices of a machine. Seeds are heads of real templates with the room for
 * more extents cut off. What is accepted must keep its promises:
 * extents in order and inside the file, queues in RAM.
 */
#include "arch/x86_64/ioapic.h"
#include "devices/virtio/console.h"
#include "husk/proto.h"
#include "template/format.h"
#include "template/template.h"

#include <stdlib.h>
#include <string.h>

#include "require.h"

#define MEMORY	 (256ull << 20)
#define FILE_LEN (1u << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void nothing(void *opaque)
{
	(void)opaque;
}

static void no_irq(void *opaque, unsigned pin)
{
	(void)opaque;
	(void)pin;
}

static void no_msi(void *opaque, uint64_t addr, uint32_t msi)
{
	(void)opaque;
	(void)addr;
	(void)msi;
}

static void load_devices(const struct template *t)
{
	static const struct port_ops ops;
	struct console_port_config ports[HUSK_NR_PORTS];
	const struct irq_line irq = { no_irq, NULL, 0 };
	struct console c;
	struct ioapic a;
	struct unpack u;
	struct gmem m;
	struct err e;
	unsigned i;

	/* As run/setup.c has them, so that real states fit. */
	for (i = 0; i < HUSK_NR_PORTS; i++)
		ports[i] = (struct console_port_config){ "p", &ops, NULL, 2,
							 64 };
	ports[HUSK_PORT_STDIN].rx_size = 64;
	ports[HUSK_PORT_STDIN].tx_size = 2;
	ports[HUSK_PORT_CONTROL].tx_size = 2;
	REQUIRE(!gmem_init(&m, MEMORY, 3ull << 30, 4ull << 30, &e));
	console_init(&c, &m, &irq, ports, HUSK_NR_PORTS, nothing, NULL);
	unpack_init(&u, t->console.data, t->console.len);
	if (!console_load(&c, &u)) {
		for (i = 0; i < c.vdev.nr_queues; i++)
			if (c.queue[i].s.ready)
				virtq_has_work(&c.queue[i]);
	}
	console_fini(&c);
	ioapic_init(&a, 2, no_msi, NULL);
	unpack_init(&u, t->board.data, t->board.len);
	ioapic_load(&a, &u);
	ioapic_fini(&a);
	gmem_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct template t = { .fd = -1 };
	uint64_t next = 0;
	uint32_t crc;
	uint8_t *head;
	unsigned i;
	struct err e;

	if (size < TEMPLATE_HEADER_LEN || size > 65536)
		return 0;
	head = malloc(size);
	if (!head)
		return 0;
	memcpy(head, data, size);
	crc = template_head_crc(head, size);
	memcpy(head + 16, &crc, sizeof(crc));
	if (!template_parse(&t, head, size, FILE_LEN, &e)) {
		for (i = 0; i < t.nr_extents; i++) {
			struct template_extent x = template_extent(&t, i);

			REQUIRE(x.gpa >= next && x.offset + x.len <= FILE_LEN);
			next = x.gpa + x.len;
		}
		for (i = 0, next = 0; i < t.nr_runs; i++) {
			struct template_run run = template_touched(&t, i);

			REQUIRE(run.page >= next && run.count &&
				!(run.count >> 31));
			next = (uint64_t)run.page + run.count;
		}
		template_gather(&t);
		load_devices(&t);
	}
	free(head);
	return 0;
}
