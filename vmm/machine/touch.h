/* SPDX-License-Identifier: MIT */
/*
 * A machine that waits has time: it touches the pages that its job will touch.
 *
 * The first touch of a page by a guest ends in KVM, which looks the page up
 * and writes it into the tables that the processor translates guest addresses
 * with. That takes longer than most of what a short job does, and can be done
 * before there is a job, by a guest of our own of a few bytes.
 */
#ifndef HUSK_TOUCH_H
#define HUSK_TOUCH_H

#include "core/gmem.h"
#include "machine/vcpu.h"
#include "template/template.h"

/*
 * Have `v`, parked and without its first registers, touch the pages that
 * the template's copies touch. Guest memory is as before; what the registers
 * are is not said. After a failure the machine is as good as before, and its
 * job starts slower: whoever waits for it is told.
 */
int touch_pages(struct vcpu *v, const struct gmem *m, const struct template *t,
		struct err *e);

#endif
