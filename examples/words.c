// SPDX-License-Identifier: MIT
/*
 * Counts the words of a text and lists the most frequent. `make run` sends
 * this file into a microVM on stdin, has it compiled there and gives the
 * program its own source to count, so it needs no other input.
 *
 * The four streams: stdin is the text, stdout the table, stderr remarks for a
 * person, fd 3 (if open) one line of JSON for a program. A word is a letter
 * or '_' followed by letters, digits or '_'; case counts. A word longer than
 * WORD_MAX is cut there and counted as what is left.
 *
 * An open hash table that doubles when it is half full; a sorted array of all
 * words was rejected since most of a text is repetition.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX  63
#define LIST_MAX  8
#define RESULT_FD 3

struct word {
	char *text; /* NULL: a free slot */
	size_t count;
};

struct table {
	struct word *slots;
	size_t size; /* a power of two */
	size_t used;
};

struct totals {
	size_t bytes;
	size_t lines;
	size_t words;
};

/* FNV-1a; its constants are part of its definition. */
static size_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return (size_t)h;
}

/* The slot of `text`, or the free one where it belongs. */
static struct word *find_slot(const struct table *t, const char *text)
{
	size_t i = hash(text);

	for (;; i++) {
		struct word *w = &t->slots[i & (t->size - 1)];

		if (!w->text || strcmp(w->text, text) == 0)
			return w;
	}
}

static bool grow(struct table *t)
{
	struct table bigger = {.size = t->size ? 2 * t->size : 64};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < t->size; i++) {
		if (t->slots[i].text)
			*find_slot(&bigger, t->slots[i].text) = t->slots[i];
	}
	bigger.used = t->used;
	free(t->slots);
	*t = bigger;
	return true;
}

static bool count_word(struct table *t, const char *text)
{
	struct word *w;

	if (2 * t->used >= t->size && !grow(t))
		return false;
	w = find_slot(t, text);
	if (!w->text) {
		w->text = strdup(text);
		if (!w->text)
			return false;
		t->used++;
	}
	w->count++;
	return true;
}

static bool read_words(FILE *in, struct table *t, struct totals *sum)
{
	char word[WORD_MAX + 1];
	size_t len = 0;
	int c;

	do {
		c = getc(in);
		sum->bytes += c != EOF;
		sum->lines += c == '\n';
		if (c == '_' || isalpha(c) || (len && isdigit(c))) {
			if (len < WORD_MAX)
				word[len++] = (char)c;
			continue;
		}
		if (!len)
			continue;
		word[len] = '\0';
		len = 0;
		sum->words++;
		if (!count_word(t, word))
			return false;
	} while (c != EOF);
	return !ferror(in);
}

/* Most frequent first, free slots last, equal counts by the alphabet. */
static int compare(const void *a, const void *b)
{
	const struct word *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->count ? strcmp(x->text, y->text) : 0;
}

static void print_table(const struct table *t)
{
	for (size_t i = 0; i < t->used && i < LIST_MAX; i++) {
		printf("%5zu  %-10s ", t->slots[i].count, t->slots[i].text);
		for (size_t n = t->slots[i].count; n; n--)
			putchar('*');
		putchar('\n');
	}
}

static void free_table(struct table *t)
{
	for (size_t i = 0; i < t->size; i++)
		free(t->slots[i].text);
	free(t->slots);
}

int main(void)
{
	struct table table = {0};
	struct totals sum = {0};

	if (!read_words(stdin, &table, &sum) || !sum.words) {
		fprintf(stderr, "words: no words read: %s\n",
			errno ? strerror(errno) : "empty input");
		return EXIT_FAILURE;
	}
	qsort(table.slots, table.size, sizeof(*table.slots), compare);
	print_table(&table);
	fprintf(stderr, "words: read %zu lines, %zu bytes\n", sum.lines,
		sum.bytes);
	dprintf(RESULT_FD, "{\"words\":%zu,\"distinct\":%zu,\"top\":\"%s\"}\n",
		sum.words, table.used, table.slots[0].text);
	free_table(&table);
	return EXIT_SUCCESS;
}
