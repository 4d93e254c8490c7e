/* SPDX-License-Identifier: MIT */
/*
 * The job that all of bench measures: it does nothing, so that what is left is
 * the cost of having run it. Built static, to depend on no image, and with
 * musl: glibc's start-up and its 750 KiB would be half of what is measured.
 */
int main(void)
{
	return 0;
}
