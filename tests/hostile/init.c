// SPDX-License-Identifier: MIT
/*
 * What a job would be that had become root of its guest, kernel and all: an
 * init in place of husk's own, inside a husk of its own (build/test/hostile).
 * It speaks the protocol as far as it likes; the command that the job was to
 * run chooses what it does:
 *
 *	look	list what there is to reach, try it, then end as exited, 7
 *	lie	an END with a reason full of control characters
 *	noise	bytes of no meaning into every port
 *	many	two ENDs and more after them
 *	mute	close every port, say nothing
 *	off	power off, which this machine cannot: it halts
 *	reset	reset in the middle of it
 *
 * It is given nothing to trust and fails loudly on the early console only.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "husk/proto.h"

static int port[HUSK_NR_PORTS];

static _Noreturn void off(void)
{
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void find_ports(void)
{
	static const char *const names[] = HUSK_PORT_NAMES;
	char path[300], name[32];
	struct dirent *d;
	DIR *dir;
	int i, nr = 0;

	/* Ports come one by one. */
	while (nr < HUSK_NR_PORTS) {
		nr = 0;
		dir = opendir("/sys/class/virtio-ports");
		while (dir && (d = readdir(dir))) {
			FILE *f;

			snprintf(path, sizeof(path),
				 "/sys/class/virtio-ports/%s/name", d->d_name);
			f = fopen(path, "r");
			if (!f)
				continue;
			name[0] = '\0';
			if (fscanf(f, "%31s", name) != 1)
				name[0] = '\0';
			fclose(f);
			snprintf(path, sizeof(path), "/dev/%s", d->d_name);
			for (i = 0; i < HUSK_NR_PORTS; i++) {
				if (strcmp(name, names[i]))
					continue;
				if (port[i] <= 0)
					port[i] = open(path, O_RDWR);
				nr += port[i] > 0;
			}
		}
		if (dir)
			closedir(dir);
	}
}

static void put(int to, const void *p, size_t len)
{
	const char *at = p;

	while (len) {
		ssize_t n = write(port[to], at, len);

		if (n <= 0)
			off();
		at += n;
		len -= (size_t)n;
	}
}

static void get(void *p, size_t len)
{
	char *at = p;

	while (len) {
		ssize_t n = read(port[HUSK_PORT_CONTROL], at, len);

		if (n <= 0)
			off();
		at += n;
		len -= (size_t)n;
	}
}

static void send_frame(uint16_t type, const void *p, uint32_t len)
{
	const struct husk_frame f = { HUSK_MAGIC, HUSK_VERSION, type, len };

	put(HUSK_PORT_CONTROL, &f, sizeof(f));
	put(HUSK_PORT_CONTROL, p, len);
}

static void send_end(uint32_t kind, uint32_t code, const char *reason)
{
	struct {
		struct husk_end end;
		char reason[HUSK_REASON_MAX];
	} m = { .end = { .kind = kind, .code = code } };

	m.end.reason_len = (uint32_t)strlen(reason);
	memcpy(m.reason, reason, m.end.reason_len);
	send_frame(HUSK_END, &m, (uint32_t)sizeof(m.end) + m.end.reason_len);
}

/* ---- look ---- */

static void say(const char *what, const char *how)
{
	char line[400];
	int n = snprintf(line, sizeof(line), "%s: %s\n", what, how);

	put(HUSK_PORT_STDOUT, line, (size_t)n);
}

static void tell(const char *what, long r)
{
	say(what, r < 0 ? strerror(errno) : "done");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The names in a folder, in order; "none" without them or without it. */
static void list(const char *what, const char *path)
{
	char names[64][64], line[2048] = "";
	DIR *dir = opendir(path);
	struct dirent *d;
	unsigned i, n = 0;

	while (dir && n < 64 && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			snprintf(names[n++], sizeof(names[0]), "%.63s",
				 d->d_name);
	if (dir)
		closedir(dir);
	qsort(names, n, sizeof(names[0]), by_name);
	for (i = 0; i < n; i++) {
		strncat(line, i ? " " : "", 2);
		strncat(line, names[i], sizeof(names[0]));
	}
	say(what, n ? line : "none");
}

static void try_network(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(80),
				 .sin_addr = { htonl(0x0a000202) } };

	tell("connect", connect(socket(AF_INET, SOCK_STREAM, 0),
				(struct sockaddr *)&a, sizeof(a)));
	tell("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	tell("packets", socket(AF_PACKET, SOCK_RAW, 0));
	list("net", "/sys/class/net");
}

static void try_disk(void)
{
	static char sector[4096];
	int fd = open("/dev/vda", O_RDWR), no = 0;

	tell("disk for writing", fd);
	if (fd < 0)
		fd = open("/dev/vda", O_RDONLY);
	tell("disk made writable", ioctl(fd, BLKROSET, &no));
	fd = open("/dev/vda", O_RDWR);
	memset(sector, 'x', sizeof(sector));
	tell("written", fd < 0 ? fd : write(fd, sector, sizeof(sector)));
	tell("on the disk", fd < 0 ? fd : fsync(fd));
}

static void try_machine(void)
{
	mknod("/mem", S_IFCHR | 0600, makedev(1, 1));
	tell("memory", open("/mem", O_RDWR));
	mknod("/ports", S_IFCHR | 0600, makedev(1, 4));
	tell("ports", open("/ports", O_RDWR));
	tell("iopl", syscall(SYS_iopl, 3));
	tell("module", syscall(SYS_init_module, "", 0, ""));
	tell("kexec", syscall(SYS_kexec_load, 0, 0, 0, 0));
	list("buses", "/sys/bus");
	list("virtio", "/sys/bus/virtio/devices");
	list("block", "/sys/class/block");
	list("streams", "/sys/class/virtio-ports");
}

static void look(void)
{
	try_network();
	try_disk();
	try_machine();
	put(HUSK_PORT_STDERR, "to stderr\n", 10);
	put(HUSK_PORT_RESULT, "to result\n", 10);
	send_end(HUSK_END_EXITED, 7, "");
}

/* ---- the rest ---- */

static void noise(void)
{
	unsigned char junk[4096];
	uint32_t seed = 1;
	unsigned i, n;

	for (n = 0; n < 64; n++) {
		for (i = 0; i < sizeof(junk); i++) {
			seed = seed * 1664525u + 1013904223u;
			junk[i] = (unsigned char)(seed >> 24);
		}
		for (i = HUSK_PORT_STDOUT; i <= HUSK_PORT_RESULT; i++)
			put((int)i, junk, sizeof(junk));
	}
	put(HUSK_PORT_CONTROL, junk, sizeof(junk));
}

static void act(const char *what)
{
	int i;

	if (!strcmp(what, "look"))
		look();
	if (!strcmp(what, "lie"))
		send_end(HUSK_END_ERROR, 1,
			 "\033[31mhusk: all is well\n\r\0\"},{\"verdict\"");
	if (!strcmp(what, "noise"))
		noise();
	if (!strcmp(what, "many")) {
		send_end(HUSK_END_EXITED, 3, "");
		send_end(HUSK_END_EXITED, 0, "");
		noise();
	}
	if (!strcmp(what, "mute"))
		for (i = 0; i < HUSK_NR_PORTS; i++)
			close(port[i]);
	if (!strcmp(what, "off"))
		reboot(RB_POWER_OFF);
	if (!strcmp(what, "reset"))
		off();
}

int main(void)
{
	const struct husk_ready ready = { 1, 1, 1 };
	static char payload[HUSK_JOB_MAX + 1];
	struct husk_frame f;
	char *s;

	mkdir("/dev", 0755);
	mkdir("/sys", 0755);
	if (mount("dev", "/dev", "devtmpfs", 0, "") ||
	    mount("sys", "/sys", "sysfs", 0, ""))
		off();
	find_ports();
	send_frame(HUSK_READY, &ready, sizeof(ready));
	get(&f, sizeof(f));
	if (f.len > HUSK_JOB_MAX)
		off();
	get(payload, f.len);
	send_frame(HUSK_STARTED, NULL, 0);
	/* Host name and work folder, then the command. */
	s = payload + sizeof(struct husk_job);
	s += strlen(s) + 1;
	s += strlen(s) + 1;
	act(s);
	for (;;)
		pause();
}
