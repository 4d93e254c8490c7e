/* SPDX-License-Identifier: MIT */
/*
 * A driver that an input makes do anything: write its rings, offer, kick,
 * touch registers, reset. It knows where rings and data lie, so that much of
 * what it does nearly makes sense. Shared by the targets of devices.
 */
#ifndef HUSK_TESTS_HOSTILE_H
#define HUSK_TESTS_HOSTILE_H

#include "../unit/mockdrv.h"
#include "feed.h"

/* A descriptor's address: in data, in a ring, at an end of RAM, anywhere. */
gpa_t hostile_address(struct feed *f, const struct mockdrv *d);
uint32_t hostile_length(struct feed *f);

/* One step of the driver, chosen by the next byte `op` of the input. */
void hostile_step(struct feed *f, struct mockdrv *d, uint8_t op);
#define HOSTILE_NR_OPS 12u

/* After every step: what must hold of the device whatever was done. */
void hostile_check(const struct mockdrv *d);

/* Buffers that a device hands on: each within one region, sum as said. */
void hostile_check_iov(const struct mockdrv *d, const struct iovec *iov,
		       unsigned nr, size_t len);

/* Where data of the targets lies: MOCK_HIGH .. MOCK_HIGH + 64 KiB. */
#define HOSTILE_DATA MOCK_HIGH

#endif
