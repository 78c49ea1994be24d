// SPDX-License-Identifier: Apache-2.0
// Uses memory until there is none, and can live with that.
//
// exit: 0
// stdout: as it should be
// memory: 16MiB
#include "check.h"

int main(void)
{
	int n = 0;

	for (volatile char *p; (p = malloc(1 << 16)); n++)
		for (int i = 0; i < 1 << 16; i += 4096)
			p[i] = 1;
	if (n < 200 || n > 256)
		surprises++;
	return done();
}
