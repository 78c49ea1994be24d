// SPDX-License-Identifier: Apache-2.0
// Traps in a function of a function, in the way that its argument says. Built with the
// names of functions.
#include <stdio.h>
#include <string.h>

#define KEPT __attribute__((noinline))

static volatile int sink;

KEPT static void divide(int by)
{
	sink = 1000 / by;
	sink = 1;
}

KEPT static void overrun(const char *at)
{
	sink = *at;
	sink = 1;
}

KEPT static int recurse(int n)
{
	int here = sink + n;
	return recurse(n + 1) / (here | 1);
}

KEPT static void refuse(void)
{
	sink = 1;
	__builtin_trap();
}

KEPT static void leave_message(const char *file)
{
	FILE *f = fopen(file, "w");
	if (f == NULL || fputs("out of coffee", f) < 0 || fclose(f) != 0)
		perror(file);
	refuse();
	sink = 2;
}

KEPT static void crash(const char *how, const char *file)
{
	if (strcmp(how, "divide") == 0)
		divide(sink);
	else if (strcmp(how, "overrun") == 0)
		overrun((const char *)0xfffffff0);
	else if (strcmp(how, "recurse") == 0)
		sink = recurse(0);
	else if (strcmp(how, "message") == 0)
		leave_message(file);
	else
		refuse();
	sink = 3;
}

int main(int argc, char **argv)
{
	crash(argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
	return sink;
}
