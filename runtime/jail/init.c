// SPDX-License-Identifier: Apache-2.0

#include "internal.h"

const char *jail_init(const void *keepalive, const char *cgroup)
{
	// The resolver first: no object may be loaded after code.c has listed them.
	const char *err = jail_isolate_init();
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
