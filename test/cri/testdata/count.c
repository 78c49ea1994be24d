// SPDX-License-Identifier: Apache-2.0
// Writes numbers, each on a line, until it is ended.
#include <stdio.h>

int main(void)
{
	for (unsigned n = 1;; n++)
		if (printf("%u\n", n) < 0)
			return 1;
}
