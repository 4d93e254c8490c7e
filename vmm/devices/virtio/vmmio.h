/* SPDX-License-Identifier: MIT */
/*
 * virtio over MMIO, register layout version 2 (virtio 1.2, section 4.2.2).
 *
 * A bus window of 4 KiB: control registers of 4 bytes each below 0x100, the
 * device's configuration space from there. Registers are read and written as
 * aligned 32-bit words; other widths read 0 and write nothing.
 *
 * The initialisation order of 3.1.1 is enforced: features only before
 * FEATURES_OK, queues only between FEATURES_OK and DRIVER_OK, FEATURES_OK is
 * withdrawn when the driver took what was not offered or left VERSION_1 out.
 * A driver that goes its own way gets a device that does nothing.
 */
#ifndef HUSK_DEVICES_VMMIO_H
#define HUSK_DEVICES_VMMIO_H

#include "core/bus.h"
#include "devices/virtio/vdev.h"

/* The `dev` of a window with these ops is a struct vdev. */
extern const struct bus_ops vmmio_bus_ops;

/* Offset of the one register whose writes are the hot path. */
#define VMMIO_QUEUE_NOTIFY 0x050u

#endif
