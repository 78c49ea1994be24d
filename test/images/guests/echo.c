// SPDX-License-Identifier: Apache-2.0
// Copies standard input to standard output.
#include <unistd.h>

int main(void)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(0, buf, sizeof(buf))) > 0)
		for (ssize_t done = 0, w; done < n; done += w)
			if ((w = write(1, buf + done, n - done)) < 0)
				return 1;
	return n < 0;
}
