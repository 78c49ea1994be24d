// SPDX-License-Identifier: Apache-2.0
// Computes for two seconds at least, is paused and resumed meanwhile, and ends.
//
// exit: 0
// after: running
// pause: resume
// stdout: as it should be
#include "check.h"

#include <time.h>

int main(void)
{
	struct timespec begin, now;

	say("running");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (now.tv_sec - begin.tv_sec < 3);
	return done();
}
