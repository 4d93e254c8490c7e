/* SPDX-License-Identifier: MIT */
/*
 * What every virtio device is, whatever its transport: an identity, feature
 * bits, queues, a configuration space, and a handful of callbacks. The
 * transport (vmmio.c) owns status, feature negotiation and interrupt bits.
 *
 * Locking: `lock` covers the whole device, its queues and its transport.
 * Callbacks run with it held. Host events (a descriptor became readable) take
 * it too. It is never held across a sleep, and never with another's.
 */
#ifndef HUSK_DEVICES_VDEV_H
#define HUSK_DEVICES_VDEV_H

#include "core/irq.h"
#include "devices/virtio/virtq.h"

#include <pthread.h>
#include <stdatomic.h>

struct vdev;

struct vdev_ops {
	uint32_t device_id;		/* section 5 of the specification */
	uint64_t features;		/* offered besides VERSION_1 */
	/* Copy of config bytes [off, off + len); len is 1, 2, 4. */
	uint32_t (*config_read)(struct vdev *, uint32_t off, unsigned len);
	/* The driver has set DRIVER_OK. */
	void (*activate)(struct vdev *);
	/* Queue `index` was kicked. -EPROTO: the driver broke the rules. */
	int (*kick)(struct vdev *, unsigned index);
	/* Back to power-on state; queues are reset by the transport. */
	void (*reset)(struct vdev *);
};

/* What a template keeps of the transport's side. */
struct vdev_state {
	uint32_t status;		/* section 2.1 */
	uint64_t driver_features;
	uint32_t isr;			/* bit 0 queue, bit 1 config */
	uint32_t queue_sel;
	uint32_t features_sel;		/* of DeviceFeatures */
	uint32_t driver_features_sel;
	uint32_t config_generation;
};

struct vdev {
	const struct vdev_ops *ops;
	struct vdev_state s;
	unsigned nr_queues;
	struct virtq *queue;		/* borrowed from the device's struct */
	struct irq_line irq;
	pthread_mutex_t lock;
	atomic_bool leaving;		/* see vdev_leave */
};

void vdev_init(struct vdev *d, const struct vdev_ops *ops, struct virtq *queue,
	       unsigned nr_queues, const struct irq_line *irq);
void vdev_fini(struct vdev *d);

/* Is the driver there and the device unbroken? */
bool vdev_is_live(const struct vdev *d);

/* Tell the driver of new used buffers in queue `q`, if it wants to know. */
void vdev_notify_queue(struct vdev *d, struct virtq *q);

/* The driver broke the rules: DEVICE_NEEDS_RESET (2.1.1), once. */
void vdev_set_broken(struct vdev *d);

/*
 * The machine ends: a kick that has more requests to serve leaves them, for
 * the vCPU that it holds is waited for. Takes no lock.
 */
void vdev_leave(struct vdev *d);

/* State of transport and queues to and from a template; no lock is taken. */
void vdev_save(const struct vdev *d, struct pack *p);
int vdev_load(struct vdev *d, struct unpack *u);

#endif
