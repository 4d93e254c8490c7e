/* SPDX-License-Identifier: MIT */
/*
 * What client, labd and agent say to each other.
 *
 * Every message is one frame: a 12-byte head, then `len` payload bytes. Both
 * ends are little-endian x86-64, so the head goes over as it lies in memory.
 * A frame with an unknown type, a payload above WIRE_MAX or a non-zero pad is
 * a broken peer; there is no resynchronising.
 *
 * Flow control: each stream of each session starts with WIRE_WINDOW bytes of
 * credit; the receiver hands back credit with WIRE_WINDOW_ADD as it passes
 * bytes on. A reader that stops therefore stops only its own stream, and no
 * buffer grows beyond the window. Rejected: one virtio port for each stream,
 * which cannot tell the end of one client from the start of the next.
 */
#ifndef LAB_WIRE_H
#define LAB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAX    (4u << 20) /* payload bytes; only WIRE_OPEN comes near */
#define WIRE_WINDOW (256u << 10)
#define WIRE_CHUNK  (32u << 10) /* payload of one WIRE_DATA at most */

enum wire_type {
	WIRE_READY = 1, /* agent -> labd: the lab is up */
	WIRE_OPEN,	/* client -> agent: struct wire_open and strings */
	WIRE_DATA,	/* bytes of a stream: 0 to the agent, 1 and 2 from it */
	WIRE_EOF,	/* no more bytes will come on that stream */
	WIRE_WINDOW_ADD, /* u32: credit given back to the stream's sender */
	WIRE_SHUT,	 /* the stream's reader is gone */
	WIRE_SIGNAL,	 /* client -> agent: u32 signal for the process group */
	WIRE_EXIT,	 /* agent -> client: u32 status as a shell counts it */
	WIRE_HANGUP,	 /* labd -> agent: the client is gone, kill it all */
	WIRE_DOWN,	 /* client -> labd: end the lab */
	WIRE_POKE,	 /* labd -> agent: says nothing, but interrupts */
	WIRE_TYPES
};

struct wire_head {
	uint32_t session; /* set by labd; clients send 0 */
	uint8_t type;
	uint8_t stream;
	uint16_t zero;
	uint32_t len;
};

/* Followed by NUL-terminated strings: cwd, argc arguments, envc variables. */
struct wire_open {
	uint32_t uid; /* also the gid */
	uint32_t flags;
	uint32_t argc; /* > 0 */
	uint32_t envc;
};

#define WIRE_OPEN_NO_KVM 1u /* leave an ordinary user out of group kvm */

_Static_assert(sizeof(struct wire_head) == 12, "head is packed");
_Static_assert(sizeof(struct wire_open) == 16, "open is packed");

/* A byte queue; all zero is an empty one. Out of memory ends the process. */
struct buf {
	unsigned char *mem;
	size_t start;
	size_t len;
	size_t cap;
};

void buf_append(struct buf *b, const void *data, size_t len);
void buf_consume(struct buf *b, size_t len);
void buf_free(struct buf *b);

/*
 * Read once from a descriptor into the queue. Returns bytes read, 0 at the end
 * of file, or a negative errno (-EAGAIN for "nothing now").
 */
long buf_fill(struct buf *b, int fd, size_t max);

/* Write until empty or until it would block: 0 or a negative errno. */
int buf_flush(struct buf *b, int fd);

void wire_put(struct buf *b, struct wire_head h, const void *payload);
void wire_put_u32(struct buf *b, struct wire_head h, uint32_t value);

/*
 * The frame at the front of the queue: 1 and its head and payload (valid until
 * the queue changes; drop it with wire_drop), 0 when more bytes are needed,
 * -EPROTO for a broken peer.
 */
int wire_peek(const struct buf *b, struct wire_head *h,
	      const unsigned char **payload);
void wire_drop(struct buf *b, const struct wire_head *h);

/* The payload of a u32 frame; 0 if it has another length. */
uint32_t wire_u32(const struct wire_head *h, const unsigned char *payload);

void fd_nonblock(int fd);

#endif
