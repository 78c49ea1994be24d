// SPDX-License-Identifier: Apache-2.0
// Prints the files given. With -w before it, prints one file, and does so again each
// time that its text is another one.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int cat(const char *path)
{
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		return 1;
	}
	for (int c; (c = getc(f)) != EOF;)
		putchar(c);
	fclose(f);
	return 0;
}

// read_text reads what fits into a text.
static int read_text(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		return 1;
	}
	text[fread(text, 1, size - 1, f)] = '\0';
	fclose(f);
	return 0;
}

static int watch(const char *path)
{
	static char last[4096], text[4096];

	for (;; usleep(1000)) {
		if (read_text(path, text, sizeof(text)))
			return 1;
		if (strcmp(text, last)) {
			puts(text);
			fflush(stdout);
			strcpy(last, text);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "-w"))
		return watch(argv[2]);
	for (int i = 1; i < argc; i++)
		if (cat(argv[i]))
			return 1;
	return 0;
}
