// SPDX-License-Identifier: MIT
/*
 * PID 1 for virtual machine monitors that bring none: /bench/guest CMD [ARG...]
 * from the kernel's command line (init=/bench/guest -- CMD). The console is the
 * job's stdin, stdout and stderr, as raw as a terminal can be: it has no end of
 * file, and no exit status comes out. When CMD ends, the machine does.
 *
 * On the command line a blank ends a word, so "%20" stands for one, as in URLs,
 * and likewise for any byte.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define NOBODY 65534

static void decode(char *word)
{
	char *to = word;

	for (; *word; word++) {
		if (word[0] == '%' && word[1] && word[2]) {
			char hex[] = { word[1], word[2], 0 };

			*to++ = (char)strtol(hex, NULL, 16);
			word += 2;
		} else {
			*to++ = *word;
		}
	}
	*to = 0;
}

static void run(char **argv)
{
	if (setgid(NOBODY) || setuid(NOBODY))
		_exit(126);
	execvp(argv[1], argv + 1);
	_exit(127);
}

int main(int argc, char **argv)
{
	struct termios t;
	pid_t job, pid;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("tmp", "/tmp", "tmpfs", 0, NULL);
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
	setenv("HOME", "/tmp", 1);
	if (!tcgetattr(STDIN_FILENO, &t)) {
		cfmakeraw(&t);
		tcsetattr(STDIN_FILENO, TCSANOW, &t);
	}
	for (int i = 1; i < argc; i++)
		decode(argv[i]);
	job = argc > 1 ? fork() : -1;
	if (!job)
		run(argv);
	do {
		pid = wait(NULL);
	} while (pid > 0 && pid != job);
	tcdrain(STDOUT_FILENO);
	reboot(RB_AUTOBOOT);
	return 0;
}
