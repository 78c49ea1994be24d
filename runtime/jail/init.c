// SPDX-License-Identifier: Apache-2.0

#include "internal.h"

#include <sys/prctl.h>

// jail_keep_out: else a process of a guest's user may trace the guest's thread if it has
// that thread's few capabilities, and with it all of this process.
int jail_keep_out(void)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

const char *jail_init(const void *keepalive, const char *cgroup)
{
	// The resolver first: no object may be loaded after code.c has listed them.
	const char *err = jail_isolate_init();
	if (err == NULL && jail_keep_out() != 0)
		err = "PR_SET_DUMPABLE";
	if (err == NULL)
		err = jail_interpose_init();
	if (err == NULL)
		err = jail_trace_init();
	if (err == NULL)
		err = jail_signals_init(keepalive);
	if (err == NULL)
		err = jail_janitor_init();
	if (err == NULL)
		err = jail_spawner_init(cgroup);
	return err;
}
