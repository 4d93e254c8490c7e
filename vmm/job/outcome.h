/* SPDX-License-Identifier: MIT */
/*
 * How a run ended and what it used: what the status object says. Plain data,
 * filled by run.c, put into words by status.c and into a number by
 * outcome_exit_status.
 */
#ifndef HUSK_OUTCOME_H
#define HUSK_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

enum verdict {
	VERDICT_NONE,		/* still running */
	VERDICT_EXITED,
	VERDICT_SIGNALED,
	VERDICT_TIMEOUT,
	VERDICT_CPU_TIME,
	VERDICT_OOM,
	VERDICT_OUTPUT_LIMIT,
	VERDICT_INTERRUPTED,
	VERDICT_START_FAILED,
	VERDICT_GUEST_CRASH,
	VERDICT_ERROR,
};

/* The clocks of the design: nanoseconds of CLOCK_MONOTONIC, 0 = not reached */
enum clock_point {
	CLOCK_T0_START,		/* husk starts */
	CLOCK_T1_RUN,		/* first KVM_RUN */
	CLOCK_T2_INIT,		/* guest-init says READY */
	CLOCK_T3_FIRST_BYTE,	/* the job's first byte on one of its streams */
	CLOCK_T4_EXIT,		/* exit status and all output delivered */
	CLOCK_T5_REAPED,	/* machine torn down (with --timeline only) */
	CLOCK_NR,
};

/* KVM_RUN returns by reason. */
enum exit_kind {
	EXIT_KIND_NOTIFY,	/* virtio queue notify */
	EXIT_KIND_VIRTIO,	/* other virtio register */
	EXIT_KIND_IRQCHIP,	/* register of the interrupt controller */
	EXIT_KIND_ARCH,		/* one that only this architecture has */
	EXIT_KIND_MMIO_OTHER,
	EXIT_KIND_SIGNAL,	/* host signal, no guest reason */
	EXIT_KIND_OTHER,
	EXIT_KIND_NR,
};

/* Of one vCPU by exit_kind, a cache line. */
typedef uint64_t exit_counts[8];

enum stream_id { STREAM_STDIN, STREAM_STDOUT, STREAM_STDERR, STREAM_RESULT,
		 STREAM_NR };

struct stream_outcome {
	uint64_t bytes;		/* taken from or given by the job */
	uint64_t delivered;	/* bytes that reached the host's descriptor */
	bool truncated;
};

struct outcome {
	enum verdict verdict;
	int code;		/* exit status, signal or errno, by verdict */
	bool guest_said;	/* the verdict is the guest's word, not ours */
	char reason[512];	/* one line; empty when the verdict says all */
	uint64_t clock[CLOCK_NR];
	uint64_t wall_ns;	/* of the job, as the guest measured it */
	uint64_t cpu_user_ns, cpu_sys_ns;
	uint64_t mem_peak;
	uint32_t pids_peak;
	uint64_t exits[EXIT_KIND_NR];
	uint64_t guest_pages;	/* resident pages of guest RAM, 4 KiB each */
	uint64_t private_bytes;	/* private memory of husk beyond guest RAM */
	struct stream_outcome stream[STREAM_NR];
};

/* The process exit status of a verdict; the table is in husk(1). */
int outcome_exit_status(const struct outcome *o);

/* "exited", "timeout", ...: the word of the status object. */
const char *outcome_verdict_name(enum verdict v);

/*
 * The line for stderr: the reason, or a sentence of ours when there is none.
 * NULL for an end that speaks for itself (exited, signaled, interrupted).
 */
const char *outcome_line(const struct outcome *o);

#endif
