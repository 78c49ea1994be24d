// SPDX-License-Identifier: Apache-2.0
// Traps.
int main(void)
{
	__builtin_trap();
}
