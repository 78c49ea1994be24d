// SPDX-License-Identifier: Apache-2.0
// Uses memory until there is none, and aborts.
//
// exit: 137 oom
// memory: 16MiB
#include <stdlib.h>

int main(void)
{
	for (volatile char *p; (p = malloc(1 << 16));)
		for (int i = 0; i < 1 << 16; i += 4096)
			p[i] = 1;
	abort();
}
