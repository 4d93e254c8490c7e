/* LINK: vmm/backends/stream.c */
/* LIBS: -lutil */
// SPDX-License-Identifier: MIT
/*
 * Input streams from every kind of descriptor: what is there comes at once,
 * nothing there is no end, the end is told for ever, nobody waits.
 */
#include "stream_make.h"

/* ---- input ---- */

static void in_from(int rd, int wr, enum stream_way way)
{
	uint8_t buf[100];

	if (way == STREAM_SHARED)
		open_shared(rd, true);
	else
		open_in(rd, way);
	assert_int_equal(give(buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(nr_events[STREAM_FIRST_BYTE], 0);
	assert_int_equal(write(wr, bytes, 130), 130);
	assert_int_equal(give(buf, 100), 100);
	assert_memory_equal(buf, bytes, 100);
	assert_int_equal(give(buf, 100), 30);
	assert_memory_equal(buf, bytes + 100, 30);
	assert_int_equal(give(buf, 100), -EAGAIN);
	assert_int_equal(s.bytes, 130);
	assert_int_equal(s.delivered, 130);
	assert_int_equal(nr_events[STREAM_FIRST_BYTE], 1);
	assert_int_equal(write(wr, bytes, 1), 1);
	close(wr);
	assert_int_equal(give(buf, 100), 1);
	assert_int_equal(give(buf, 100), 0);
	assert_int_equal(give(buf, 100), 0);
}

static void in_from_a_pipe(void **state)
{
	int p[2], other, before;

	(void)state;
	assert_int_equal(pipe(p), 0);
	other = dup(p[0]);
	before = fcntl(other, F_GETFL);
	in_from(p[0], p[1], STREAM_OWN);
	assert_int_equal(fcntl(other, F_GETFL), before);
	close(other);
}

static void in_from_a_pipe_of_others(void **state)
{
	int p[2], rd, before;

	(void)state;
	assert_int_equal(pipe(p), 0);
	before = fcntl(p[0], F_GETFL);
	rd = dup(p[0]);
	in_from(rd, p[1], STREAM_SHARED);
	assert_int_equal(fcntl(p[0], F_GETFL), before);
	close(p[0]);
}

static void in_from_a_socket(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	in_from(p[0], p[1], STREAM_SOCKET);
	assert_int_equal(fcntl(p[0], F_GETFL) & O_NONBLOCK, 0);
}

static void in_from_a_file(void **state)
{
	char name[] = "/tmp/test_stream.XXXXXX";
	uint8_t buf[100];
	int fd = mkstemp(name);

	(void)state;
	unlink(name);
	assert_int_equal(write(fd, bytes, 150), 150);
	lseek(fd, 40, SEEK_SET);
	open_in(fd, STREAM_FILE);
	assert_int_equal(give(buf, 100), 100);
	assert_memory_equal(buf, bytes + 40, 100);
	assert_int_equal(give(buf, 100), 10);
	assert_int_equal(give(buf, 100), 0);
}

static void in_from_a_terminal(void **state)
{
	int master, slave;
	uint8_t buf[100];

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	open_in(slave, STREAM_OWN);
	assert_int_equal(give(buf, 100), -EAGAIN);
	assert_int_equal(write(master, "one\nhalf", 8), 8);
	assert_int_equal(give(buf, 100), 4);
	assert_memory_equal(buf, "one\n", 4);
	assert_int_equal(give(buf, 100), -EAGAIN);
	assert_int_equal(write(master, "\n", 1), 1);
	assert_int_equal(give(buf, 100), 5);
	/* ^D on an empty line is the end. */
	assert_int_equal(write(master, "\4", 1), 1);
	assert_int_equal(give(buf, 100), 0);
	/* So is a terminal that is gone. */
	close(master);
	assert_int_equal(give(buf, 100), 0);
}

/* What cannot be opened by its name in /proc, and is no pipe either. */
static void in_from_something_else(void **state)
{
	int fd = eventfd(0, 0);
	uint64_t one = 1;
	uint8_t buf[8];
	struct iovec iov = { buf, 8 };

	(void)state;
	open_in(fd, STREAM_SHARED);
	assert_int_equal(stream_input_ops.give(&s, &iov, 1), -EAGAIN);
	assert_int_equal(write(fd, &one, 8), 8);
	assert_int_equal(stream_input_ops.give(&s, &iov, 1), 8);
	assert_int_equal(stream_input_ops.give(&s, &iov, 1), -EAGAIN);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

static void the_guest_closes_its_input(void **state)
{
	uint8_t buf[4];
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	open_in(p[0], STREAM_OWN);
	/* Who writes to the input port talks to nobody. */
	assert_int_equal(stream_input_ops.take(&s, NULL, 0, 77), 77);
	stream_input_ops.closed(&s);
	assert_int_equal(write(p[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(give(buf, 4), 0);
	close(p[1]);
}

static void many_buffers(void **state)
{
	struct iovec iov[VIRTQ_MAX_SIZE];
	uint8_t back[VIRTQ_MAX_SIZE];
	unsigned i;
	int p[2];

	(void)state;
	for (i = 0; i < VIRTQ_MAX_SIZE; i++)
		iov[i] = (struct iovec){ bytes + i, 1 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	open_out(p[1], STREAM_SOCKET);
	assert_int_equal(stream_output_ops.take(&s, iov, VIRTQ_MAX_SIZE,
						VIRTQ_MAX_SIZE),
			 VIRTQ_MAX_SIZE);
	fresh();
	for (i = 0; i < VIRTQ_MAX_SIZE; i++)
		iov[i] = (struct iovec){ back + i, 1 };
	open_in(p[0], STREAM_SOCKET);
	assert_int_equal(stream_input_ops.give(&s, iov, VIRTQ_MAX_SIZE),
			 VIRTQ_MAX_SIZE);
	assert_memory_equal(back, bytes, VIRTQ_MAX_SIZE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(in_from_a_pipe),
		TEST(in_from_a_pipe_of_others),
		TEST(in_from_a_socket),
		TEST(in_from_a_file),
		TEST(in_from_a_terminal),
		TEST(in_from_something_else),
		TEST(the_guest_closes_its_input),
		TEST(many_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
