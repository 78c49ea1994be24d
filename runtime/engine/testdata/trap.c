// SPDX-License-Identifier: Apache-2.0
// Traps in a function.
__attribute__((noinline)) static int crash(int n)
{
	if (n > 0)
		__builtin_trap();
	return n;
}

int main(int argc, char **argv)
{
	(void)argv;
	return crash(argc) + 1;
}
