// SPDX-License-Identifier: Apache-2.0
// Prints the files given.
#include <stdio.h>

int main(int argc, char **argv)
{
	for (int i = 1, c; i < argc; i++) {
		FILE *f = fopen(argv[i], "r");

		if (!f) {
			perror(argv[i]);
			return 1;
		}
		while ((c = getc(f)) != EOF)
			putchar(c);
		fclose(f);
	}
	return 0;
}
