// SPDX-License-Identifier: Apache-2.0
// Never ends, and calls nothing.
int main(void)
{
	for (volatile unsigned n = 0;; n++)
		;
}
