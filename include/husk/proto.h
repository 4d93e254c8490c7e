/* SPDX-License-Identifier: MIT */
/*
 * The protocol between husk (host) and guest-init (PID 1 of the microVM).
 *
 * It runs over the virtio-console port "control" as a byte stream of frames:
 * a fixed header, then `len` bytes of payload. All integers are little-endian,
 * as is every machine that husk runs on. Structs have no padding; the asserts
 * below hold them to it, so both sides may memcpy them.
 *
 * One conversation:
 *
 *	guest -> host	READY			init runs and waits for work
 *	host  -> guest	JOB			exactly one
 *	guest -> host	STARTED			execve succeeded
 *	guest -> host	END			exactly one, the last frame
 *
 * Before init sends END it has put every byte of the job's output streams
 * into their ports' queues, so the host that has seen END and emptied those
 * queues has everything. After END the guest waits: a reset would take the
 * queues away. It resets when the host closes the control port.
 *
 * The host opens its end of the streams before that of control: a stream that
 * is closed once the job is known has lost its reader.
 *
 * A template is a machine stopped at a quiet point, of which copies then go
 * on. There are two such points, each announced by RESTING: before a JOB,
 *
 *	guest -> host	READY
 *	host  -> guest	REST			with the terms to expect
 *	guest -> host	RESTING			all is done that needs no JOB
 *	(the copy)
 *	host  -> guest	JOB			and on as above
 *
 * where a JOB of other terms costs doing again what depends on them; and with
 * a job that has warmed up and waits for its input:
 *
 *	guest -> host	READY
 *	host  -> guest	JOB with HUSK_JOB_HOLD
 *	guest -> host	STARTED
 *	guest -> host	RESTING			it wrote to HUSK_READY_FD
 *	(the copy)
 *	host  -> guest	GO			its streams flow from now on
 *	guest -> host	END
 *
 * A held job that ends before it is ready gives END in place of RESTING.
 *
 * A frame of another version, of an unknown type, longer than the limit, or
 * whose fields contradict each other ends the conversation: the guest powers
 * off, the host calls it a guest crash. Host and init come out of one binary,
 * so there is nothing to negotiate; the version catches a mixed-up build.
 *
 * Rejected: JSON (a parser in PID 1), and the kernel command line (2 KiB, and
 * visible to the job in /proc/cmdline).
 */
#ifndef HUSK_PROTO_H
#define HUSK_PROTO_H

#include <assert.h>
#include <stdint.h>

#define HUSK_MAGIC	0x4b535548u /* "HUSK" */
#define HUSK_VERSION	3

/* Console ports by number; the driver learns the names from the device. */
enum husk_port {
	HUSK_PORT_STDIN,
	HUSK_PORT_STDOUT,
	HUSK_PORT_STDERR,
	HUSK_PORT_RESULT,
	HUSK_PORT_CONTROL,
	HUSK_NR_PORTS
};

#define HUSK_PORT_NAMES { "stdin", "stdout", "stderr", "result", "control" }

enum husk_frame_type {
	HUSK_READY = 1,
	HUSK_JOB,
	HUSK_STARTED,
	HUSK_END,
	HUSK_REST,
	HUSK_RESTING,
	HUSK_GO,
};

struct husk_frame {
	uint32_t magic;	  /* HUSK_MAGIC */
	uint16_t version; /* HUSK_VERSION */
	uint16_t type;	  /* enum husk_frame_type */
	uint32_t len;	  /* payload bytes that follow */
};
static_assert(sizeof(struct husk_frame) == 12, "frame layout");

/*
 * Longest payloads. JOB holds arguments and environment, at most
 * HUSK_STRINGS_MAX bytes of them, beside its fixed fields, the names, and what
 * the host adds to the environment.
 */
#define HUSK_STRINGS_MAX (1u << 20)
#define HUSK_JOB_MAX	 (HUSK_STRINGS_MAX + 8192u)
#define HUSK_REPORT_MAX 512u /* each frame that the guest sends */

/* READY: what init found. */
struct husk_ready {
	uint64_t uptime_ns;   /* CLOCK_MONOTONIC of the guest */
	uint64_t mem_total;   /* bytes the guest kernel manages */
	uint64_t mem_free;    /* bytes available before the job */
};
static_assert(sizeof(struct husk_ready) == 24, "ready layout");

/*
 * JOB: followed by `strings_len` bytes of NUL-terminated strings, in order:
 * hostname, working directory, argc arguments, envc NAME=VALUE entries. No
 * other byte follows, and the last byte is a NUL.
 */
struct husk_job {
	uint32_t uid;
	uint32_t gid;
	uint32_t argc;	       /* at least 1 */
	uint32_t envc;
	uint32_t strings_len;
	uint32_t pids_max;     /* processes and threads of the job, > 0 */
	uint32_t flags;	       /* HUSK_JOB_HOLD or 0 */
	uint32_t reserved;     /* 0 */
	uint64_t tmp_size;     /* bytes of the tmpfs that the job may fill */
	uint64_t cpu_time_ns;  /* user + system of all its processes; 0: none */
	uint64_t realtime_ns;  /* CLOCK_REALTIME to set */
	uint64_t counter;      /* the guest's cycle counter at that time, */
	uint64_t counter_khz;  /* and its rate; 0: not known */
	uint8_t seed[32];      /* fresh host entropy, credited before the job */
};
static_assert(sizeof(struct husk_job) == 104, "job layout");

/*
 * REST: what the jobs of the copies most likely ask for, as in JOB, so that
 * their process can wait for them.
 */
struct husk_rest {
	uint32_t uid;
	uint32_t gid;
	uint32_t pids_max;     /* > 0 */
	uint32_t reserved;     /* 0 */
	uint64_t tmp_size;     /* > 0 */
};
static_assert(sizeof(struct husk_rest) == 24, "rest layout");

/* Start the job, let it warm up, and wait for GO. */
#define HUSK_JOB_HOLD 1u

/*
 * GO: what a held job could not be told before, since it is new in each copy.
 * Followed by `hostname_len` bytes without NUL. Limits count from here.
 */
struct husk_go {
	uint32_t pids_max;     /* > 0 */
	uint32_t hostname_len; /* at most HUSK_HOSTNAME_MAX */
	uint64_t cpu_time_ns;  /* 0: no limit */
	uint64_t realtime_ns;  /* CLOCK_REALTIME to set */
	uint64_t counter;      /* as in JOB */
	uint64_t counter_khz;
	uint8_t seed[32];      /* for the kernel, credited */
	uint8_t job_seed[32];  /* for the job, on HUSK_SEED_FD */
};
static_assert(sizeof(struct husk_go) == 104, "go layout");

#define HUSK_HOSTNAME_MAX 64u

/* How the job ended, as init saw it. */
enum husk_end_kind {
	HUSK_END_EXITED = 1,   /* code: exit status */
	HUSK_END_SIGNALED,     /* code: signal number */
	HUSK_END_OOM,	       /* code: signal number */
	HUSK_END_CPU_TIME,     /* code: signal number */
	HUSK_END_START_FAILED, /* code: errno; reason says of what */
	HUSK_END_ERROR,	       /* init itself failed; code: errno */
};

/* END: followed by `reason_len` bytes of text without NUL, may be none. */
struct husk_end {
	uint32_t kind;	       /* enum husk_end_kind */
	uint32_t code;
	uint64_t wall_ns;      /* from execve to the job's death */
	uint64_t cpu_user_ns;
	uint64_t cpu_sys_ns;
	uint64_t mem_peak;     /* bytes, of the job's cgroup */
	uint32_t pids_peak;
	uint32_t reason_len;   /* at most HUSK_REASON_MAX */
};
static_assert(sizeof(struct husk_end) == 48, "end layout");

#define HUSK_REASON_MAX 240u

/* What STARTED and RESTING carry: nothing. Their arrival is the fact. */

/* Job environment that both sides and the documentation speak of. */
#define HUSK_RESULT_FD	  3
#define HUSK_READY_FD	  4 /* a held job writes a byte when it is warm */
#define HUSK_SEED_FD	  5 /* it reads 32 fresh bytes, which come with GO */
#define HUSK_WORKDIR	  "/work"
#define HUSK_DEFAULT_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#endif
