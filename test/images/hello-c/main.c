// SPDX-License-Identifier: Apache-2.0
// Says hello and exits with the code given.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	puts("hello from C");
	return argc > 1 ? atoi(argv[1]) : 0;
}
