// SPDX-License-Identifier: Apache-2.0

// Two modules come and go, in the same entry of the list, while a signal handler's reader
// asks for addresses that are in neither. Exits with 1 if it finds one.

#include "../code.c"

#include <stdio.h>

enum { SIZE = 0x1000, LOW = 0x100000, HIGH = 0x900000, ROUNDS = 3000000 };

static _Atomic bool done;

static void *change(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		// NOLINTNEXTLINE(performance-no-int-to-ptr)
		void *at = (void *)(uintptr_t)(i % 2 == 0 ? LOW : HIGH);
		jail_code_add(at, SIZE);
		jail_code_remove(at, SIZE);
	}
	done = true;
	return unused;
}

int main(void)
{
	static const uintptr_t nowhere[] = {0, LOW - 1, LOW + SIZE, HIGH - 1, HIGH + SIZE};
	pthread_t thread;
	if (pthread_create(&thread, NULL, change, NULL) != 0)
		return 2;
	while (!done)
		for (size_t i = 0; i < sizeof(nowhere) / sizeof(*nowhere); i++)
			if (jail_is_module_code(nowhere[i])) {
				printf("%#lx is taken for a module's\n", (unsigned long)nowhere[i]);
				return 1;
			}
	// Of two that are there, one goes.
	jail_code_add((void *)LOW, SIZE);
	jail_code_add((void *)HIGH, SIZE);
	jail_code_remove((void *)LOW, SIZE);
	return jail_is_module_code(LOW) || !jail_is_module_code(HIGH) ||
	       !jail_is_module_code(HIGH + SIZE - 1);
}
