// SPDX-License-Identifier: Apache-2.0
// Writes its second argument to the file that the first one names.
#include <stdio.h>

int main(int argc, char **argv)
{
	FILE *f;

	if (argc != 3) {
		fputs("usage: write FILE TEXT\n", stderr);
		return 2;
	}
	f = fopen(argv[1], "w");
	if (!f || fputs(argv[2], f) == EOF || fclose(f) == EOF) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
