/* SPDX-License-Identifier: MIT */
/*
 * What the analysers are told instead of what they don't know: constants of
 * Linux, and the compiler's atomics. A load from a ring is any value each time
 * (the guest writes while we read) from an address that must be valid.
 */
#ifndef HUSK_PROVE_MODEL_H
#define HUSK_PROVE_MODEL_H

#include <__fc_builtin.h>
#include <stdint.h>

#define MAP_NORESERVE	 0
#define MADV_DONTDUMP	 16
#define MADV_HUGEPAGE	 14
#define MADV_NOHUGEPAGE	 15

static inline uint16_t model_load(const uint16_t *p)
{
	/*@ assert \valid_read(p); */
	return (uint16_t)Frama_C_unsigned_int_interval(0, 65535);
}

static inline void model_store(uint16_t *p, uint16_t v)
{
	*p = v;
}

#define __atomic_load_n(p, order)     model_load(p)
#define __atomic_store_n(p, v, order) model_store(p, v)
#define __atomic_thread_fence(order)  ((void)0)

#endif
