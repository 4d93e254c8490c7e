// SPDX-License-Identifier: MIT
/*
 * See open.h. One sweep for both processes: the supervisor must not hold
 * the other end of anybody's pipe either.
 */
#include "run/open.h"

#include "lib/outfile.h"
#include "lib/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int run_open_output(const char *what, const char *path, struct err *e)
{
	int fd = outfile_open_stream(path, e);

	if (fd == -ENXIO)
		return err_set(e, ENXIO,
			       "open %s '%s': nobody reads this FIFO (start "
			       "the reader first)",
			       what, path);
	return fd < 0 ? err_prefix(e, "open %s '%s': ", what, path) : fd;
}

static int check_fd(const char *what, int fd, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return err_sys(e, "use descriptor %d for the %s", fd, what);
	if ((flags & O_ACCMODE) == O_RDONLY)
		return err_set(e, EBADF,
			       "use descriptor %d for the %s: open for reading "
			       "only",
			       fd, what);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

int run_open_status(const struct config *c, int *fd, struct err *e)
{
	const int named[] = { c->result_fd, c->status_fd };
	int r = 0;

	sweep_fds(STDERR_FILENO + 1, named, 2);
	*fd = -1;
	if (c->status_fd >= 0)
		r = check_fd("status", c->status_fd, e);
	else if (c->status_file)
		r = run_open_output("status", c->status_file, e);
	else
		return 0;
	if (r >= 0)
		*fd = r;
	return r < 0 ? r : 0;
}
