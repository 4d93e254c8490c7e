// SPDX-License-Identifier: MIT
/*
 * PID 1 of the lab once it is set up: runs commands for clients outside.
 *
 * One virtio port carries the frames of wire.h. Each session is one command in
 * a process session and a cgroup of its own, with plain pipes as 0, 1 and 2.
 * When the command ends, everything left in its cgroup is killed, the pipes are
 * read to their end, and only then is its status sent: a client that has the
 * status knows that nothing of the command is left. Reaps orphans, as PID 1
 * must. When the port goes away the lab powers off.
 *
 * One thread around poll(2). Rejected: a process for each session, which would
 * need the port's frames handed on once more.
 */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>

#define SESSIONS 64
#define CGROOT	 "/sys/fs/cgroup"

/* Above this the port is the bottleneck: pipes are left alone. */
#define PORT_BACKLOG (1u << 20)

struct session {
	bool used;
	bool exited;	/* the command was reaped, status is valid */
	bool empty;	/* nothing is left in its cgroup */
	bool stdin_eof; /* close fd[0] once `in` is drained */
	uint32_t id;
	uint32_t status; /* as a shell counts: code or 128 + signal */
	uint32_t credit[3];
	uint32_t eaten; /* stdin bytes not yet given back as credit */
	pid_t pid;
	int fd[3];  /* our ends; -1 once closed */
	int events; /* cgroup.events */
	struct buf in;
};

struct agent {
	int port;
	int sigfd;
	sigset_t oldmask;
	struct buf rx;
	struct buf tx;
	struct session sessions[SESSIONS];
};

static struct wire_head head(const struct session *s, uint8_t type, int stream)
{
	return (struct wire_head){ .session = s->id,
				   .type = type,
				   .stream = (uint8_t)stream };
}

static void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void cgroup_path(const struct session *s, const char *file, char *out,
			size_t len)
{
	snprintf(out, len, CGROOT "/lab.%u%s%s", s->id, *file ? "/" : "", file);
}

static int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -1 : 0;
}

/* A command may have made cgroups below its own; children go first. */
static void cgroup_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	char sub[1024];

	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		if (snprintf(sub, sizeof(sub), "%s/%s", path, d->d_name) <
		    (int)sizeof(sub))
			cgroup_remove(sub);
	}
	closedir(dir);
	rmdir(path);
}

static void session_kill(struct session *s)
{
	char path[128];

	cgroup_path(s, "cgroup.kill", path, sizeof(path));
	if (file_write(path, "1") < 0 && s->pid > 0 && !s->exited)
		kill(-s->pid, SIGKILL);
}

/*
 * Done by parent and child alike, whoever comes first: a kill that follows at
 * once must find the child inside, and so must the child's own children.
 */
static int cgroup_enter(const struct session *s)
{
	char path[128];
	char pid[16];

	cgroup_path(s, "cgroup.procs", path, sizeof(path));
	snprintf(pid, sizeof(pid), "%d", s->pid);
	return file_write(path, pid);
}

/* The child's last words go where the command's own would have gone. */
static void __attribute__((noreturn))
child_fail(const char *what, const char *object, int status)
{
	dprintf(2, "lab: %s '%s': %s\n", what, object, strerror(errno));
	_exit(status);
}

static void child_become(const struct wire_open *o)
{
	struct stat st;
	gid_t kvm;

	if (!o->uid)
		return;
	if (stat("/dev/kvm", &st) < 0)
		st.st_gid = o->uid;
	kvm = st.st_gid;
	if (setgroups(o->flags & WIRE_OPEN_NO_KVM ? 0 : 1, &kvm) < 0 ||
	    setresgid(o->uid, o->uid, o->uid) < 0 ||
	    setresuid(o->uid, o->uid, o->uid) < 0)
		child_fail("become user", "--user", 126);
}

static void __attribute__((noreturn))
child_run(struct agent *a, struct session *s, const struct wire_open *o,
	  const char *cwd, char **argv, char **envp, int fd[3])
{
	int i;

	setsid();
	for (i = 0; i < 3; i++)
		if (dup2(fd[i], i) < 0)
			_exit(126);
	if (cgroup_enter(s) < 0)
		child_fail("enter", "cgroup", 126);
	for (i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigprocmask(SIG_SETMASK, &a->oldmask, NULL);
	close_range(3, ~0u, 0);
	child_become(o);
	if (chdir(cwd) < 0)
		child_fail("enter directory", cwd, 126);
	environ = envp;
	execvp(argv[0], argv);
	child_fail("run", argv[0], errno == ENOENT ? 127 : 126);
}

/* Splits the strings of a WIRE_OPEN in place; NULL when they do not add up. */
static char **strings_split(char *p, char *end, size_t count)
{
	char **list = calloc(count + 1, sizeof(*list));
	size_t i;

	for (i = 0; list && i < count; i++) {
		char *nul = p < end ? memchr(p, 0, (size_t)(end - p)) : NULL;

		if (!nul) {
			free(list);
			return NULL;
		}
		list[i] = p;
		p = nul + 1;
	}
	return list;
}

static void session_spawn(struct agent *a, struct session *s,
			  const struct wire_open *o, char **str)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	char **argv = calloc(o->argc + 1, sizeof(*argv));
	char path[128];

	if (!argv)
		abort();
	memcpy(argv, str + 1, o->argc * sizeof(*argv));
	cgroup_path(s, "", path, sizeof(path));
	mkdir(path, 0755);
	cgroup_path(s, "cgroup.events", path, sizeof(path));
	s->events = open(path, O_RDONLY | O_CLOEXEC);
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
	    pipe2(err, O_CLOEXEC) < 0)
		abort();
	s->pid = fork();
	if (!s->pid)
		child_run(a, s, o, str[0], argv, str + 1 + o->argc,
			  (int[]){ in[0], out[1], err[1] });
	cgroup_enter(s);
	free(argv);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	s->fd[0] = in[1];
	s->fd[1] = out[0];
	s->fd[2] = err[0];
	for (int i = 0; i < 3; i++)
		fd_nonblock(s->fd[i]);
	if (s->pid < 0) {
		s->exited = true;
		s->status = 126;
	}
}

static void session_refuse(struct agent *a, uint32_t id)
{
	struct wire_head h = { .session = id, .type = WIRE_EXIT };

	wire_put_u32(&a->tx, h, 126);
}

static void session_open(struct agent *a, const struct wire_head *h,
			 const unsigned char *payload)
{
	struct session *s = a->sessions;
	struct wire_open o;
	char *copy;
	char **str;

	while (s < a->sessions + SESSIONS && s->used)
		s++;
	if (s == a->sessions + SESSIONS || h->len < sizeof(o)) {
		session_refuse(a, h->session);
		return;
	}
	memcpy(&o, payload, sizeof(o));
	copy = malloc(h->len);
	if (!copy)
		abort();
	memcpy(copy, payload, h->len);
	str = o.argc && o.argc < WIRE_MAX && o.envc < WIRE_MAX
		      ? strings_split(copy + sizeof(o), copy + h->len,
				      1 + (size_t)o.argc + o.envc)
		      : NULL;
	if (!str) {
		session_refuse(a, h->session);
		free(copy);
		return;
	}
	*s = (struct session){ .used = true,
			       .id = h->session,
			       .credit = { 0, WIRE_WINDOW, WIRE_WINDOW },
			       .fd = { -1, -1, -1 } };
	session_spawn(a, s, &o, str);
	free(str);
	free(copy);
}

static struct session *session_find(struct agent *a, uint32_t id)
{
	for (struct session *s = a->sessions; s < a->sessions + SESSIONS; s++)
		if (s->used && s->id == id)
			return s;
	return NULL;
}

static void session_shut(struct session *s, unsigned int stream)
{
	fd_close(&s->fd[stream]);
	if (!stream)
		buf_free(&s->in);
}

static void session_signal(struct session *s, uint32_t sig)
{
	if (sig == SIGKILL)
		session_kill(s);
	else if (!s->exited && s->pid > 0 && sig < NSIG)
		kill(-s->pid, (int)sig);
}

/* Frames for a session that is over are late, not wrong. */
static void frame_take(struct agent *a, const struct wire_head *h,
		       const unsigned char *payload)
{
	struct session *s = session_find(a, h->session);

	if (h->type == WIRE_OPEN && !s)
		session_open(a, h, payload);
	if (!s)
		return;
	switch (h->type) {
	case WIRE_DATA:
		if (s->fd[0] >= 0)
			buf_append(&s->in, payload, h->len);
		break;
	case WIRE_EOF:
		s->stdin_eof = true;
		break;
	case WIRE_WINDOW_ADD:
		s->credit[h->stream] += wire_u32(h, payload);
		break;
	case WIRE_SHUT:
		session_shut(s, h->stream);
		break;
	case WIRE_SIGNAL:
		session_signal(s, wire_u32(h, payload));
		break;
	case WIRE_HANGUP:
		session_kill(s);
		for (unsigned int i = 0; i < 3; i++)
			session_shut(s, i);
		break;
	default:
		break;
	}
}

static void __attribute__((noreturn)) lab_off(const char *why)
{
	dprintf(2, "lab agent: %s, powering off\n", why);
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void port_read(struct agent *a)
{
	const unsigned char *payload;
	struct wire_head h;
	long n = buf_fill(&a->rx, a->port, 64 << 10);
	int got;

	if (n == -EAGAIN)
		return;
	if (n <= 0)
		lab_off("the port was closed");
	while ((got = wire_peek(&a->rx, &h, &payload)) > 0) {
		frame_take(a, &h, payload);
		wire_drop(&a->rx, &h);
	}
	if (got < 0)
		lab_off("a broken frame came in");
}

static void stdin_pump(struct agent *a, struct session *s, short revents)
{
	size_t before = s->in.len;
	int rc = revents & POLLERR ? -EPIPE : buf_flush(&s->in, s->fd[0]);

	if (rc < 0) {
		wire_put(&a->tx, head(s, WIRE_SHUT, 0), NULL);
		session_shut(s, 0);
		return;
	}
	s->eaten += (uint32_t)(before - s->in.len);
	if (s->eaten >= WIRE_WINDOW / 4) {
		wire_put_u32(&a->tx, head(s, WIRE_WINDOW_ADD, 0), s->eaten);
		s->eaten = 0;
	}
}

static void output_pump(struct agent *a, struct session *s, int stream)
{
	unsigned char data[WIRE_CHUNK];
	size_t max = sizeof(data);
	struct wire_head h = head(s, WIRE_DATA, stream);
	ssize_t n;

	if (max > s->credit[stream])
		max = s->credit[stream];
	n = read(s->fd[stream], data, max);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		wire_put(&a->tx, head(s, WIRE_EOF, stream), NULL);
		fd_close(&s->fd[stream]);
		return;
	}
	h.len = (uint32_t)n;
	s->credit[stream] -= h.len;
	wire_put(&a->tx, h, data);
}

static void children_reap(struct agent *a)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	while (read(a->sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		continue;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct session *s = a->sessions;

		while (s < a->sessions + SESSIONS &&
		       !(s->used && !s->exited && s->pid == pid))
			s++;
		if (s == a->sessions + SESSIONS)
			continue;
		s->exited = true;
		s->status = WIFSIGNALED(status)
				    ? 128u + (uint32_t)WTERMSIG(status)
				    : (uint32_t)WEXITSTATUS(status);
		session_kill(s);
	}
}

static bool cgroup_empty(struct session *s)
{
	char text[256];
	ssize_t n = pread(s->events, text, sizeof(text) - 1, 0);

	if (n < 0)
		return true;
	text[n] = '\0';
	return !strstr(text, "populated 1");
}

static void session_finish(struct agent *a, struct session *s)
{
	char path[128];

	if (s->stdin_eof && !s->in.len && s->fd[0] >= 0)
		fd_close(&s->fd[0]);
	if (!s->exited)
		return;
	if (!s->empty)
		s->empty = cgroup_empty(s);
	if (!s->empty || s->fd[1] >= 0 || s->fd[2] >= 0)
		return;
	cgroup_path(s, "", path, sizeof(path));
	cgroup_remove(path);
	session_shut(s, 0);
	fd_close(&s->events);
	wire_put_u32(&a->tx, head(s, WIRE_EXIT, 0), s->status);
	s->used = false;
}

enum { PER_SESSION = 4, FIXED = 2 };

/* A negative fd is one poll(2) leaves alone. */
static void poll_prepare(const struct agent *a, struct pollfd *p)
{
	bool room = a->tx.len < PORT_BACKLOG;

	p[0] = (struct pollfd){ .fd = a->port, .events = POLLIN };
	if (a->tx.len)
		p[0].events |= POLLOUT;
	p[1] = (struct pollfd){ .fd = a->sigfd, .events = POLLIN };
	for (int i = 0; i < SESSIONS; i++) {
		const struct session *s = &a->sessions[i];
		struct pollfd *q = p + FIXED + PER_SESSION * i;

		for (int k = 0; k < PER_SESSION; k++)
			q[k] = (struct pollfd){ .fd = -1 };
		if (!s->used)
			continue;
		q[0].fd = s->fd[0];
		q[0].events = s->in.len ? POLLOUT : 0;
		for (int k = 1; k < 3; k++)
			if (room && s->credit[k])
				q[k] = (struct pollfd){ .fd = s->fd[k],
							.events = POLLIN };
		if (s->exited && !s->empty)
			q[3] = (struct pollfd){ .fd = s->events,
						.events = POLLPRI };
	}
}

static void sessions_pump(struct agent *a, const struct pollfd *p)
{
	for (int i = 0; i < SESSIONS; i++) {
		struct session *s = &a->sessions[i];
		const struct pollfd *q = p + FIXED + PER_SESSION * i;

		if (!s->used)
			continue;
		if (q[0].revents && q[0].fd == s->fd[0] && s->fd[0] >= 0)
			stdin_pump(a, s, q[0].revents);
		for (int k = 1; k < 3; k++)
			if (q[k].revents && q[k].fd == s->fd[k])
				output_pump(a, s, k);
	}
}

static void sessions_finish(struct agent *a)
{
	for (int i = 0; i < SESSIONS; i++)
		if (a->sessions[i].used)
			session_finish(a, &a->sessions[i]);
}

/* labd may attach a moment after the driver has found the port. */
static void port_wait(int port)
{
	struct pollfd p = { .fd = port, .events = POLLOUT };

	for (int i = 0; i < 1000; i++) {
		if (poll(&p, 1, 1000) > 0 && !(p.revents & POLLHUP))
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	lab_off("nobody listens on the port");
}

static void agent_loop(struct agent *a)
{
	static struct pollfd p[FIXED + PER_SESSION * SESSIONS];

	for (;;) {
		poll_prepare(a, p);
		if (poll(p, FIXED + PER_SESSION * SESSIONS, -1) < 0) {
			if (errno == EINTR)
				continue;
			lab_off("poll failed");
		}
		if (p[1].revents)
			children_reap(a);
		sessions_pump(a, p);
		if (p[0].revents & (POLLIN | POLLHUP))
			port_read(a);
		sessions_finish(a);
		if (buf_flush(&a->tx, a->port) < 0)
			lab_off("the port cannot be written");
	}
}

int main(int argc, char **argv)
{
	static struct agent a;
	struct wire_head ready = { .type = WIRE_READY };
	sigset_t mask;

	if (argc != 2) {
		fputs("usage: agent PORT\n", stderr);
		return 125;
	}
	a.port = open(argv[1], O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (a.port < 0)
		lab_off("cannot open the port");
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, &a.oldmask);
	a.sigfd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	port_wait(a.port);
	wire_put(&a.tx, ready, NULL);
	agent_loop(&a);
}
