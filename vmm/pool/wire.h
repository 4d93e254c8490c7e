/* SPDX-License-Identifier: MIT */
/*
 * What a client of a pool and the machine that serves it say to each other,
 * as bytes. Pure: no descriptor, no clock.
 *
 *	client -> machine	REQUEST		once, with the descriptors
 *	client -> machine	SIGNAL		a signal to the client
 *	machine -> client	REPLY		once: how the job ended
 *
 * A message is a head of POOL_HEAD bytes and a payload, cut into packets of
 * at most POOL_PACKET bytes. Stdin, stdout and stderr of the job, then the
 * result and the console's log if there are any, come with the first packet
 * of the request, as SCM_RIGHTS.
 *
 * Both ends take what they read for a stranger's: a client may be any program
 * of its user, and a machine may have been taken over by its guest. A parser
 * accepts what the packers make and nothing else: no value out of its range,
 * no string without an end, no byte too many.
 */
#ifndef HUSK_POOL_WIRE_H
#define HUSK_POOL_WIRE_H

#include "husk/proto.h"
#include "job/config.h"
#include "job/outcome.h"
#include "job/status.h"
#include "lib/err.h"

#include <stddef.h>

#define POOL_WIRE_VERSION 2u
#define POOL_HEAD	  12u
#define POOL_PACKET	  (64u << 10)
#define POOL_REQUEST_MAX  (HUSK_JOB_MAX + 1024u)
#define POOL_REPLY_MAX	  4096u
#define POOL_FDS_MAX	  5u

enum pool_message { POOL_REQUEST = 1, POOL_SIGNAL, POOL_REPLY };

/*
 * Bytes of the message that these are the first of, head included; 0 when it
 * is none of that type in this version.
 */
size_t pool_wire_size(const uint8_t *buf, size_t len, enum pool_message type);

/*
 * A job for a machine. Of the configuration, everything about the job is
 * there; result_fd >= 0, result_file and console_file say that a descriptor
 * comes along, and that the last two are to be emptied; timeline, that the
 * reply is to have counts of memory. Strings point into the message.
 */
struct pool_request {
	struct config config;
	uint64_t t0_ns;		/* when the client started */
	char **argv;		/* owned; config.argv */
	const char **env;	/* owned; config.env */
};

/* The message as malloc'ed bytes of the caller; their number or -errno. */
long pool_request_pack(const struct config *c, uint64_t t0_ns, uint8_t **out,
		       struct err *e);

/* 0, or -EPROTO, or -ENOMEM; then nothing is held. */
int pool_request_parse(struct pool_request *r, const uint8_t *msg, size_t len);
void pool_request_fini(struct pool_request *r);

/* How many descriptors belong to it, in the order above. */
unsigned pool_request_fds(const struct config *c);

/* A signal that ends a run; parse gives 0 for what is none. */
#define POOL_SIGNAL_LEN (POOL_HEAD + 4u)
void pool_signal_pack(uint8_t out[POOL_SIGNAL_LEN], int signal);
int pool_signal_parse(const uint8_t *msg, size_t len);

/* How it ended, and what the machine is made of. */
struct pool_reply {
	struct outcome outcome;
	uint64_t memory;
	unsigned cpus;
	struct identity id;	/* kernel and image point to the two below */
	char kernel[256], image[256];
};

/* Bytes of the message; `out` has POOL_REPLY_MAX. Paths are cut to fit. */
size_t pool_reply_pack(uint8_t *out, const struct config *c,
		       const struct outcome *o, const struct identity *id);

/* 0 or -EPROTO. */
int pool_reply_parse(struct pool_reply *r, const uint8_t *msg, size_t len);

#endif
