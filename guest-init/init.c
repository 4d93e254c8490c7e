// SPDX-License-Identifier: MIT
/*
 * PID 1 of the microVM: boot, take one job, run it, report, power off.
 *
 * init catches no signal and ignores none; the kernel then throws away
 * whatever a job may send to PID 1, SIGKILL and SIGSTOP included. The only
 * blocked one is SIGCHLD, read through a signalfd. Nor does init need a
 * score to be spared when memory is short: the kernel never picks PID 1.
 *
 * Whatever goes wrong ends in one line in the kernel log, an END frame if
 * there is a control port, and a reset. Nothing here waits without end but
 * for the host.
 *
 * The order of the boot follows the host: as soon as the ports are there it
 * is told so, and what needs no knowledge of the job is done while it sends
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "cgroup.h"
#include "job.h"
#include "lib/cleanup.h"
#include "mounts.h"
#include "names.h"
#include "ports.h"
#include "report.h"
#include "run.h"
#include "serve.h"
#include "sysctl.h"
#include "user.h"

#define SEED_LEN sizeof(((struct husk_job *)0)->seed)

struct init {
	struct report report;
	struct ports ports;
	int initramfs; /* the root that init woke up in */
	struct names names;
	int tmpfs;     /* the writable places, as a whole */
	struct cgroup cgroup; /* the job's */
	int sigchld;   /* signalfd */
	int random;
	struct job job;
	struct job_terms terms; /* what is set up; all 0: nothing */
	struct run run;
	uint8_t seed[SEED_LEN];
	char hostname[JOB_HOSTNAME_MAX + 1]; /* of GO */
};

/* Longest JOB frame; untouched pages of it are never made. */
struct frame {
	struct husk_frame head;
	uint8_t payload[HUSK_JOB_MAX];
};

/*
 * Take the numbers that the job's pipes get, whatever the kernel left open
 * there: before that they must lie above.
 */
static int reserve_descriptors(struct init *in, struct err *e)
{
	int fd;

	do {
		fd = open("/", O_PATH | O_CLOEXEC);
	} while (fd >= 0 && fd < RUN_NR_RESERVED);
	if (fd < 0)
		return err_sys(e, "open '/'");
	in->initramfs = fd;
	return 0;
}

static int watch_children(struct init *in, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return err_sys(e, "block SIGCHLD");
	in->sigchld = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return in->sigchld < 0 ? err_sys(e, "make a signalfd") : 0;
}

/* An interface that goes up gets 127.0.0.1/8 and ::1 from the kernel. */
static int bring_lo_up(struct err *e)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	auto_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EAFNOSUPPORT)
		return err_set(e, ENODEV,
			       "the kernel has no IPv4 (CONFIG_INET)");
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		return err_sys(e, "bring the interface 'lo' up");
	return 0;
}

/* Up to READY. */
static int meet_host(struct init *in, int sysfs, struct err *e)
{
	int ret = ports_open(&in->ports, sysfs, in->report.devtmpfs, e);

	in->report.control = in->ports.fd[HUSK_PORT_CONTROL];
	return ret ? ret : report_ready(&in->report, e);
}

/* All that needs no job. */
static int boot(struct init *in, struct err *e)
{
	auto_fd sysfs = -1;
	auto_fd cgroup2 = -1;

	umask(0);
	if (reserve_descriptors(in, e))
		return -e->code;
	in->report.devtmpfs = mounts_devtmpfs(e);
	if (in->report.devtmpfs < 0)
		return -e->code;
	sysfs = mounts_sysfs(e);
	if (sysfs < 0)
		return -e->code;
	if (meet_host(in, sysfs, e))
		return -e->code;
	if (mounts_root(in->report.devtmpfs, sysfs, e) || bring_lo_up(e))
		return -e->code;
	if (sysctl_set_up(e) || names_cover(&in->names, in->initramfs, e))
		return -e->code;
	cgroup2 = mounts_cgroup(e);
	if (cgroup2 < 0)
		return -e->code;
	if (cgroup_make(&in->cgroup, cgroup2, e) ||
	    cgroup_limit_memory(&in->cgroup, e) ||
	    cgroup_watch(&in->cgroup, e))
		return -e->code;
	in->tmpfs = mounts_tmp(in->initramfs, e);
	if (in->tmpfs < 0)
		return -e->code;
	in->random = openat(in->report.devtmpfs, "random",
			    O_WRONLY | O_CLOEXEC);
	if (in->random < 0)
		return err_sys(e, "open '/dev/random'");
	return watch_children(in, e);
}

/* Read until len bytes are there. A port gives what it has, and 0 when the
 * host has gone. */
static int read_to(int fd, void *buf, size_t *have, size_t len, size_t room,
		   struct err *e)
{
	while (*have < len) {
		ssize_t n = read(fd, (uint8_t *)buf + *have, room - *have);

		if (n < 0 && errno != EINTR)
			return err_sys(e, "read the job");
		if (n == 0)
			return err_set(e, EPROTO, "the host has gone");
		if (n > 0)
			*have += (size_t)n;
	}
	return 0;
}

/* One frame, and no byte of another: the host waits for our answer. */
static int read_frame(const struct init *in, struct frame *f, struct err *e)
{
	int fd = in->report.control;
	size_t have = 0, all;
	int64_t len;

	if (read_to(fd, f, &have, sizeof(f->head), sizeof(*f), e))
		return -e->code;
	len = job_frame_len(&f->head);
	if (len < 0)
		return err_set(e, EPROTO, "the host speaks another protocol");
	all = sizeof(f->head) + (size_t)len;
	if (read_to(fd, f, &have, all, sizeof(*f), e))
		return -e->code;
	return have == all ? 0 :
			     err_set(e, EPROTO, "the host does not wait");
}

static void take_seed(void *from, uint8_t to[SEED_LEN])
{
	memcpy(to, from, SEED_LEN);
	explicit_bzero(from, SEED_LEN);
}

/* Set up what is not set up yet for a job of these terms. */
static int settle(struct init *in, const struct job_terms *t, bool hold,
		  struct err *e)
{
	const struct job_terms *is = &in->terms;

	if ((is->tmp_size != t->tmp_size || is->uid != t->uid ||
	     is->gid != t->gid) &&
	    mounts_tmp_give(in->tmpfs, t->tmp_size, t->uid, t->gid, e))
		return -e->code;
	if (t->uid == 0 && mounts_guard_proc(e))
		return -e->code;
	if (is->pids_max != t->pids_max &&
	    cgroup_limit_pids(&in->cgroup, t->pids_max, e))
		return -e->code;
	in->terms = *t;
	return run_prepare(&in->run, t, hold, &in->cgroup, e);
}

/*
 * What the jobs to come have in common is done before. Not for root: what
 * that changes would stay for a job of another user.
 */
static int rest(struct init *in, const struct frame *f, struct err *e)
{
	struct job_terms terms;

	if (job_parse_rest(f->payload, f->head.len, &terms))
		return err_set(e, EPROTO, "the host sent a rest without sense");
	if (terms.uid != 0) {
		if (settle(in, &terms, false, e))
			return -e->code;
		cgroup_read_cpu(&in->cgroup, &in->run.before);
	}
	return report_resting(&in->report, e);
}

/* The job, after as many rests as the host wants: one, in the template. */
static int take_job(struct init *in, struct err *e)
{
	static struct frame f;

	if (read_frame(in, &f, e))
		return -e->code;
	while (f.head.type == HUSK_REST) {
		if (rest(in, &f, e) || read_frame(in, &f, e))
			return -e->code;
	}
	if (f.head.type != HUSK_JOB ||
	    job_parse(f.payload, f.head.len, &in->job))
		return err_set(e, EPROTO, "the host sent a job without sense");
	take_seed(f.payload + offsetof(struct husk_job, seed), in->seed);
	return 0;
}

static int credit_seed(struct init *in, struct err *e)
{
	struct {
		struct rand_pool_info info;
		uint8_t bytes[sizeof(in->seed)];
	} pool = {
		.info.entropy_count = 8 * sizeof(in->seed),
		.info.buf_size = sizeof(in->seed),
	};
	int ret;

	memcpy(pool.bytes, in->seed, sizeof(pool.bytes));
	ret = ioctl(in->random, RNDADDENTROPY, &pool);
	explicit_bzero(&pool, sizeof(pool));
	explicit_bzero(in->seed, sizeof(in->seed));
	if (ret)
		return err_sys(e, "credit the entropy");
	/*
	 * What was credited waits in the pool until the next reseeding, which
	 * may be a minute away; all copies of a machine would hand out the same
	 * until then. ENODATA: not seeded yet at all, so it has just been.
	 */
	if (ioctl(in->random, RNDRESEEDCRNG) && errno != ENODATA)
		return err_sys(e, "reseed the kernel");
	return 0;
}

/* Done anew when something got in between, so that it is right within 1 ms. */
#define CLOCK_TRIES 8

static int set_clock(const struct job *job, struct err *e)
{
	uint64_t before;
	int tries = 0;

	do {
		uint64_t ns;
		struct timespec now;

		before = arch_counter();
		ns = job_realtime(job, before);
		now.tv_sec = (time_t)(ns / 1000000000u);
		now.tv_nsec = (long)(ns % 1000000000u);
		if (clock_settime(CLOCK_REALTIME, &now))
			return err_sys(e, "set the clock");
	} while (arch_counter() - before > job->counter_khz &&
		 job->counter_khz && ++tries < CLOCK_TRIES);
	return 0;
}

/* What is new in each copy of a machine. */
static int renew(struct init *in, struct err *e)
{
	const struct job *job = &in->job;

	if (set_clock(job, e) || credit_seed(in, e))
		return -e->code;
	if (sethostname(job->hostname, strlen(job->hostname)))
		return err_sys(e, "set the host name");
	return names_set_own(&in->names, job->hostname, e);
}

/* GO: the copy of a held job gets what the job could not have before. */
static int take_go(struct init *in, struct err *e)
{
	static struct frame f;
	struct run *r = &in->run;
	uint8_t *seeds = f.payload;

	if (read_frame(in, &f, e))
		return -e->code;
	if (f.head.type != HUSK_GO ||
	    job_parse_go(f.payload, f.head.len, in->hostname, &in->job))
		return err_set(e, EPROTO, "the host sent no GO");
	take_seed(seeds + offsetof(struct husk_go, seed), in->seed);
	if (renew(in, e) || mounts_boot_id(in->initramfs, e) ||
	    cgroup_limit_pids(&in->cgroup, in->job.terms.pids_max, e))
		return -e->code;
	cgroup_read_cpu(&in->cgroup, &r->before);
	r->start_ns = run_clock();
	/* The pipe is empty and larger; nobody may read it, which is fine. */
	take_seed(seeds + offsetof(struct husk_go, job_seed), in->seed);
	if (write(r->ours[HUSK_SEED_FD], in->seed, SEED_LEN) < 0 &&
	    errno != EPIPE)
		return err_sys(e, "hand the job its seed");
	explicit_bzero(in->seed, SEED_LEN);
	close(r->ours[HUSK_SEED_FD]);
	return 0;
}

/* From STARTED to the end of a job. */
static int attend(struct init *in, struct husk_end *end, struct err *why,
		  struct err *e)
{
	struct run *r = &in->run;

	if (report_started(&in->report, e))
		return -e->code;
	if (in->job.hold) {
		if (serve_warm_up(r, &in->cgroup, in->sigchld, end, why, e))
			return -e->code;
		if (r->over)
			return 0;
		if (report_resting(&in->report, e) || take_go(in, e))
			return -e->code;
	}
	return serve(r, &in->cgroup, in->sigchld, &in->ports,
		     in->job.cpu_time_ns, end, e);
}

static int run(struct init *in, struct err *e)
{
	struct err why = { 0 };
	struct husk_end end = { 0 };
	char user[USER_NAME_MAX + 1];

	user_name(in->job.terms.uid, user);
	job_set_user(&in->job, user);
	if (renew(in, e) || settle(in, &in->job.terms, in->job.hold, e))
		return -e->code;
	switch (run_start(&in->run, &in->job, &why)) {
	case RUN_BROKEN:
		*e = why;
		return -e->code;
	case RUN_NOT_STARTED:
		end.kind = HUSK_END_START_FAILED;
		end.code = (uint32_t)why.code;
		break;
	case RUN_STARTED:
		if (attend(in, &end, &why, e))
			return -e->code;
		break;
	}
	return report_end(&in->report, &end, why.msg, e);
}

int main(void)
{
	static const char misplaced[] =
		"guest-init: runs only as PID 1 of a husk microVM\n";
	struct init in = {
		.report = { .devtmpfs = -1, .control = -1 },
		.initramfs = -1,
		.names = { .hosts = -1, .own = "husk" },
		.tmpfs = -1,
		.sigchld = -1,
		.random = -1,
	};
	struct err e = { 0 };

	/* Outside a microVM this would mount over "/" and reboot. */
	if (getpid() != 1) {
		if (write(STDERR_FILENO, misplaced, sizeof(misplaced) - 1) < 0)
			return 126;
		return 125;
	}
	if (boot(&in, &e))
		report_failure(&in.report, &e);
	if (take_job(&in, &e)) {
		/* No word of ours would be understood. */
		report_emergency(&in.report, e.msg);
		report_reset();
	}
	if (run(&in, &e))
		report_failure(&in.report, &e);
	report_power_off(&in.report);
}
