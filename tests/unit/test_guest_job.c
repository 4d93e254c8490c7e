/* LINK: guest-init/job.c */
// SPDX-License-Identifier: MIT
/*
 * The JOB payload: what is taken, and that every contradiction is refused.
 * Each payload lies in a heap block of its exact size, so that AddressSanitizer
 * sees a read beyond it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest-init/job.h"

struct payload {
	struct husk_job head;
	char strings[512];
	size_t len; /* of strings */
};

static void add(struct payload *p, const char *s)
{
	size_t n = strlen(s) + 1;

	assert_true(p->len + n <= sizeof(p->strings));
	memcpy(p->strings + p->len, s, n);
	p->len += n;
	p->head.strings_len = (uint32_t)p->len;
}

static struct payload usual_payload(void)
{
	struct payload p = {
		.head = {
			.uid = 65534,
			.gid = 65533,
			.argc = 3,
			.envc = 2,
			.pids_max = 64,
			.tmp_size = 1u << 20,
			.cpu_time_ns = 7,
			.realtime_ns = 8,
		},
	};

	add(&p, "husk");
	add(&p, "/work");
	add(&p, "echo");
	add(&p, "");
	add(&p, "a b");
	add(&p, "HOME=/home");
	add(&p, "X==");
	return p;
}

/* Parse a copy of exact size; it stays allocated in *mem if that is given. */
static int parse(const struct payload *p, size_t len, struct job *job,
		 void **mem)
{
	size_t whole = sizeof(p->head) + p->len;
	uint8_t *all = malloc(whole);
	uint8_t *cut = malloc(len ? len : 1);
	int ret;

	assert_non_null(all);
	assert_non_null(cut);
	memcpy(all, &p->head, sizeof(p->head));
	memcpy(all + sizeof(p->head), p->strings, p->len);
	memcpy(cut, all, len < whole ? len : whole);
	free(all);
	ret = job_parse(cut, len, job);
	if (mem)
		*mem = cut;
	else
		free(cut);
	return ret;
}

static int verdict(const struct payload *p)
{
	struct job job;

	return parse(p, sizeof(p->head) + p->len, &job, NULL);
}

static void takes_a_job(void **state)
{
	struct payload p = usual_payload();
	const char *argv[4], *envp[2 + JOB_NR_DEFAULTS + 1];
	struct job job;
	void *mem;

	(void)state;
	assert_int_equal(parse(&p, sizeof(p.head) + p.len, &job, &mem), 0);
	assert_int_equal(job.terms.uid, 65534);
	assert_int_equal(job.terms.gid, 65533);
	assert_int_equal(job.argc, 3);
	assert_int_equal(job.envc, 2);
	assert_int_equal(job.terms.pids_max, 64);
	assert_int_equal(job.terms.tmp_size, 1u << 20);
	assert_int_equal(job.cpu_time_ns, 7);
	assert_int_equal(job.realtime_ns, 8);
	assert_string_equal(job.hostname, "husk");
	assert_string_equal(job.workdir, "/work");
	job_argv(&job, argv);
	assert_string_equal(argv[0], "echo");
	assert_string_equal(argv[1], "");
	assert_string_equal(argv[2], "a b");
	assert_null(argv[3]);
	job_envp(&job, envp);
	assert_string_equal(envp[0], "HOME=/home");
	assert_string_equal(envp[1], "X==");
	assert_string_equal(envp[2], "PATH=" HUSK_DEFAULT_PATH);
	assert_string_equal(envp[3], "LANG=C.UTF-8");
	assert_null(envp[4]);
	assert_string_equal(job_getenv(envp, "HOME"), "/home");
	assert_string_equal(job_getenv(envp, "X"), "=");
	assert_null(job_getenv(envp, "HOM"));
	assert_null(job_getenv(envp, "HOMES"));
	free(mem);
}

/* No host name, no variables, one word. */
static struct payload least_payload(void)
{
	struct payload p = { .head = { .argc = 1, .pids_max = 1,
				       .tmp_size = 1 } };

	add(&p, "");
	add(&p, "/");
	add(&p, "x");
	return p;
}

static void defaults_fill_an_empty_environment(void **state)
{
	struct payload p = least_payload();
	const char *envp[JOB_NR_DEFAULTS + 1];
	struct job job;
	void *mem;

	(void)state;
	assert_int_equal(parse(&p, sizeof(p.head) + p.len, &job, &mem), 0);
	job_envp(&job, envp);
	assert_string_equal(envp[0], "PATH=" HUSK_DEFAULT_PATH);
	assert_string_equal(envp[1], "HOME=" HUSK_WORKDIR);
	assert_string_equal(envp[2], "LANG=C.UTF-8");
	assert_null(envp[3]);
	free(mem);
}

static void the_user_is_a_default_once_it_is_known(void **state)
{
	struct payload p = least_payload();
	char longest[USER_NAME_MAX + 1] = "";
	const char *envp[1 + JOB_NR_DEFAULTS + 1];
	struct job job;
	void *mem;

	(void)state;
	p.head.envc = 1;
	add(&p, "USER=me");
	assert_int_equal(parse(&p, sizeof(p.head) + p.len, &job, &mem), 0);
	job_envp(&job, envp);
	assert_null(job_getenv(envp, "LOGNAME"));
	job_set_user(&job, "nobody");
	job_envp(&job, envp);
	assert_string_equal(job_getenv(envp, "LOGNAME"), "nobody");
	assert_string_equal(job_getenv(envp, "USER"), "me");
	assert_null(envp[5]);
	memset(longest, 'u', USER_NAME_MAX);
	job_set_user(&job, longest);
	job_envp(&job, envp);
	assert_string_equal(job_getenv(envp, "LOGNAME"), longest);
	free(mem);
}

static void refuses_every_shorter_payload(void **state)
{
	struct payload p = usual_payload();
	size_t whole = sizeof(p.head) + p.len;
	struct job job;

	(void)state;
	for (size_t len = 0; len < whole; len++)
		assert_int_equal(parse(&p, len, &job, NULL), -EPROTO);
	/* ... also when the length field agrees with the cut. */
	for (uint32_t n = 0; n < p.len; n++) {
		struct payload q = p;

		q.len = n;
		q.head.strings_len = n;
		assert_int_equal(verdict(&q), -EPROTO);
	}
}

#define REFUSED(change)                                                        \
	do {                                                                   \
		struct payload q = p;                                          \
                                                                               \
		q.head.change;                                                 \
		assert_int_equal(verdict(&q), -EPROTO);                        \
	} while (0)

static void refuses_numbers_without_sense(void **state)
{
	struct payload p = usual_payload();

	(void)state;
	assert_int_equal(verdict(&p), 0);
	REFUSED(argc = 0);
	REFUSED(argc = 2);
	REFUSED(argc = 4);
	REFUSED(argc = UINT32_MAX);
	REFUSED(envc = 1);
	REFUSED(envc = 3);
	REFUSED(envc = UINT32_MAX);
	REFUSED(pids_max = 0);
	REFUSED(tmp_size = 0);
	REFUSED(uid = UINT32_MAX);
	REFUSED(uid = JOB_UID_RESERVED);
	REFUSED(gid = UINT32_MAX);
	REFUSED(strings_len++);
	REFUSED(strings_len--);
}

static int verdict_of_strings(const char *hostname, const char *workdir,
			      const char *arg, const char *env)
{
	struct payload p = usual_payload();

	p.head.argc = 1;
	p.head.envc = 1;
	p.len = 0;
	add(&p, hostname);
	add(&p, workdir);
	add(&p, arg);
	add(&p, env);
	return verdict(&p);
}

static void refuses_strings_without_sense(void **state)
{
	char name[JOB_HOSTNAME_MAX + 2];

	(void)state;
	memset(name, 'h', sizeof(name));
	name[JOB_HOSTNAME_MAX + 1] = '\0';
	assert_int_equal(verdict_of_strings("h", "/", "x", "A=b"), 0);
	assert_int_equal(verdict_of_strings(name + 1, "/", "x", "A="), 0);
	assert_int_equal(verdict_of_strings(name, "/", "x", "A="), -EPROTO);
	assert_int_equal(verdict_of_strings("h", "", "x", "A="), -EPROTO);
	assert_int_equal(verdict_of_strings("h", "w", "x", "A="), -EPROTO);
	assert_int_equal(verdict_of_strings("h", "/", "", "A="), -EPROTO);
	assert_int_equal(verdict_of_strings("h", "/", "x", ""), -EPROTO);
	assert_int_equal(verdict_of_strings("h", "/", "x", "A"), -EPROTO);
	assert_int_equal(verdict_of_strings("h", "/", "x", "=A"), -EPROTO);
}

static void refuses_bytes_behind_the_last_string(void **state)
{
	struct payload p = usual_payload();

	(void)state;
	add(&p, "");
	assert_int_equal(verdict(&p), -EPROTO);
}

static void leaves_the_result_alone_on_failure(void **state)
{
	struct payload p = usual_payload();
	struct job job, before;

	(void)state;
	memset(&job, 0x5a, sizeof(job));
	memcpy(&before, &job, sizeof(job));
	p.head.argc = 0;
	assert_int_equal(parse(&p, sizeof(p.head) + p.len, &job, NULL),
			 -EPROTO);
	assert_memory_equal(&job, &before, sizeof(job));
}

static void checks_the_frame_header(void **state)
{
	const struct husk_frame good = { HUSK_MAGIC, HUSK_VERSION, HUSK_JOB,
					 HUSK_JOB_MAX };
	struct husk_frame f;

	(void)state;
	assert_int_equal(job_frame_len(&good), HUSK_JOB_MAX);
	f = good;
	f.magic ^= 1;
	assert_int_equal(job_frame_len(&f), -EPROTO);
	f = good;
	f.version++;
	assert_int_equal(job_frame_len(&f), -EPROTO);
	f = good;
	f.type = HUSK_READY;
	assert_int_equal(job_frame_len(&f), -EPROTO);
	f = good;
	f.len++;
	assert_int_equal(job_frame_len(&f), -EPROTO);
	f = good;
	f.len = 0;
	assert_int_equal(job_frame_len(&f), 0);
}

static void frames_of_templates(void **state)
{
	struct husk_frame f = { HUSK_MAGIC, HUSK_VERSION, HUSK_REST,
				sizeof(struct husk_rest) };

	(void)state;
	assert_int_equal(job_frame_len(&f), f.len);
	f.len++;
	assert_int_equal(job_frame_len(&f), -EPROTO);
	f.type = HUSK_GO;
	f.len = JOB_GO_MAX;
	assert_int_equal(job_frame_len(&f), JOB_GO_MAX);
	f.len++;
	assert_int_equal(job_frame_len(&f), -EPROTO);
}

static int parse_rest(struct husk_rest r, struct job_terms *terms)
{
	return job_parse_rest(&r, sizeof(r), terms);
}

static void takes_a_rest(void **state)
{
	const struct husk_rest good = { 1, 2, 3, 0, 4 };
	struct job_terms terms = { 0 };
	struct husk_rest r = good;

	(void)state;
	assert_int_equal(parse_rest(good, &terms), 0);
	assert_int_equal(terms.uid, 1);
	assert_int_equal(terms.gid, 2);
	assert_int_equal(terms.pids_max, 3);
	assert_int_equal(terms.tmp_size, 4);
	assert_int_equal(job_parse_rest(&good, sizeof(good) - 1, &terms),
			 -EPROTO);
	r.uid = JOB_UID_RESERVED;
	assert_int_equal(parse_rest(r, &terms), -EPROTO);
	r = good;
	r.gid = UINT32_MAX;
	assert_int_equal(parse_rest(r, &terms), -EPROTO);
	r = good;
	r.pids_max = 0;
	assert_int_equal(parse_rest(r, &terms), -EPROTO);
	r = good;
	r.tmp_size = 0;
	assert_int_equal(parse_rest(r, &terms), -EPROTO);
	r = good;
	r.reserved = 1;
	assert_int_equal(parse_rest(r, &terms), -EPROTO);
	assert_int_equal(terms.uid, 1);
}

/* A GO of its exact size on the heap. */
static int parse_go(struct husk_go go, const char *name, size_t len,
		    char *out, struct job *job)
{
	uint8_t *p = malloc(sizeof(go) + len);
	int r;

	assert_non_null(p);
	memcpy(p, &go, sizeof(go));
	memcpy(p + sizeof(go), name, len);
	r = job_parse_go(p, sizeof(go) + len, out, job);
	free(p);
	return r;
}

static void takes_a_go(void **state)
{
	const struct husk_go go = { .pids_max = 3, .hostname_len = 4,
				    .cpu_time_ns = 5, .realtime_ns = 6 };
	struct job job = { .terms = { .uid = 1, .tmp_size = 2 } };
	char name[JOB_HOSTNAME_MAX + 1];
	struct husk_go g = go;

	(void)state;
	assert_int_equal(parse_go(go, "copy", 4, name, &job), 0);
	assert_string_equal(job.hostname, "copy");
	assert_int_equal(job.terms.pids_max, 3);
	assert_int_equal(job.cpu_time_ns, 5);
	assert_int_equal(job.realtime_ns, 6);
	assert_int_equal(job.terms.uid, 1);
	assert_int_equal(parse_go(go, "cop", 3, name, &job), -EPROTO);
	assert_int_equal(parse_go(go, "copy.", 5, name, &job), -EPROTO);
	assert_int_equal(parse_go(go, "co\0y", 4, name, &job), -EPROTO);
	g.pids_max = 0;
	assert_int_equal(parse_go(g, "copy", 4, name, &job), -EPROTO);
	assert_int_equal(job_parse_go(&go, sizeof(go) - 1, name, &job),
			 -EPROTO);
}

static void time_goes_on_with_the_counter(void **state)
{
	struct job job = { .realtime_ns = 1000, .counter = 50 };

	(void)state;
	assert_int_equal(job_realtime(&job, 99), 1000);
	job.counter_khz = 2000000;
	assert_int_equal(job_realtime(&job, 49), 1000);
	assert_int_equal(job_realtime(&job, 50), 1000);
	assert_int_equal(job_realtime(&job, 250), 1100);
	/* A day at 2 GHz, which does not fit 64 bits in thousandths of ns. */
	assert_int_equal(job_realtime(&job, 50 + 172800000000000ull),
			 1000 + 86400000000000ull);
}

static void holds_when_told(void **state)
{
	struct payload p = usual_payload();
	struct job job;

	(void)state;
	assert_int_equal(parse(&p, sizeof(p.head) + p.len, &job, NULL), 0);
	assert_false(job.hold);
	p.head.flags = HUSK_JOB_HOLD;
	assert_int_equal(parse(&p, sizeof(p.head) + p.len, &job, NULL), 0);
	assert_true(job.hold);
	p.head.flags = 2;
	assert_int_equal(verdict(&p), -EPROTO);
	p.head.flags = 0;
	p.head.reserved = 1;
	assert_int_equal(verdict(&p), -EPROTO);
}

static void walks_a_path(void **state)
{
	const char *path = "/usr/bin::/a/much/longer/directory:/bin:";
	char buf[16];

	(void)state;
	assert_true(job_path_next(&path, "ls", buf, sizeof(buf)));
	assert_string_equal(buf, "/usr/bin/ls");
	assert_true(job_path_next(&path, "ls", buf, sizeof(buf)));
	assert_string_equal(buf, "ls");
	assert_true(job_path_next(&path, "ls", buf, sizeof(buf)));
	assert_string_equal(buf, "/bin/ls");
	assert_true(job_path_next(&path, "ls", buf, sizeof(buf)));
	assert_string_equal(buf, "ls");
	assert_false(job_path_next(&path, "ls", buf, sizeof(buf)));
}

static void a_candidate_may_just_fit(void **state)
{
	const char *path = "/bin";
	const char *again = "/bin";
	char buf[sizeof("/bin/ls")];

	(void)state;
	assert_true(job_path_next(&path, "ls", buf, sizeof(buf)));
	assert_string_equal(buf, "/bin/ls");
	assert_false(job_path_next(&again, "lsx", buf, sizeof(buf)));
	path = NULL;
	assert_false(job_path_next(&path, "ls", buf, sizeof(buf)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_job),
		cmocka_unit_test(defaults_fill_an_empty_environment),
		cmocka_unit_test(the_user_is_a_default_once_it_is_known),
		cmocka_unit_test(refuses_every_shorter_payload),
		cmocka_unit_test(refuses_numbers_without_sense),
		cmocka_unit_test(refuses_strings_without_sense),
		cmocka_unit_test(refuses_bytes_behind_the_last_string),
		cmocka_unit_test(leaves_the_result_alone_on_failure),
		cmocka_unit_test(checks_the_frame_header),
		cmocka_unit_test(frames_of_templates),
		cmocka_unit_test(takes_a_rest),
		cmocka_unit_test(takes_a_go),
		cmocka_unit_test(holds_when_told),
		cmocka_unit_test(time_goes_on_with_the_counter),
		cmocka_unit_test(walks_a_path),
		cmocka_unit_test(a_candidate_may_just_fit),
	};

	return cmocka_run_group_tests_name("guest job", tests, NULL, NULL);
}
