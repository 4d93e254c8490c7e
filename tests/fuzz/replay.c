// SPDX-License-Identifier: MIT
/*
 * The main of a fuzz target without a fuzzer: runs the target on each file
 * named and prints a TAP line for it. A finding ends the process (sanitizer),
 * which leaves the plan unfulfilled: the runner counts that as a failure.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *buf;
	size_t size;
	long end;

	if (!f || fseek(f, 0, SEEK_END) || (end = ftell(f)) < 0)
		return -1;
	size = (size_t)end;
	rewind(f);
	/* Exactly as long as the input, so that ASan sees one byte more. */
	buf = malloc(size ? size : 1);
	if (!buf || fread(buf, 1, size, f) != size)
		return -1;
	fclose(f);
	LLVMFuzzerTestOneInput(buf, size);
	free(buf);
	return 0;
}

int main(int argc, char **argv)
{
	int i, failed = 0;

	printf("1..%d\n", argc - 1);
	for (i = 1; i < argc; i++) {
		int bad = replay(argv[i]);

		printf("%sok %d - %s\n", bad ? "not " : "", i, argv[i]);
		fflush(stdout);
		failed |= bad;
	}
	return failed ? 1 : 0;
}
