// SPDX-License-Identifier: Apache-2.0

// How guests in C say what they found: main returns done().
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <wasi/api.h>

static int surprises;

// expect checks the error of a call of WASI. ANY stands for all but success.
enum { ANY = -1 };
#define expect(want, call) expect_error(want, call, #call)

static inline void expect_error(int want, uint32_t got, const char *what)
{
	if (want == ANY ? got != 0 : (int)got == want)
		return;
	printf("%s: error %u, want %d\n", what, got, want);
	surprises++;
}

// must ends the guest if what the rest needs fails.
#define must(call) must_succeed(call, #call)

static inline void must_succeed(uint32_t got, const char *what)
{
	if (got == 0)
		return;
	printf("%s: error %u\n", what, got);
	exit(1);
}

// say writes a line at once.
static inline void say(const char *line)
{
	puts(line);
	fflush(stdout);
}

static inline int done(void)
{
	say(surprises ? "not as it should be" : "as it should be");
	return surprises != 0;
}
