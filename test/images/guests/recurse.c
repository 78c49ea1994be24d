// SPDX-License-Identifier: Apache-2.0
// Calls itself without end. The pointer keeps the compiler from seeing that, and no
// variable needs an address, so it is the engine's own stack that overflows.
#include <stdio.h>

static int depth(int n);
static int (*volatile next)(int) = depth;

static int depth(int n)
{
	return next(n + 1) + n;
}

int main(void)
{
	printf("%d\n", next(0));
	return 0;
}
