// SPDX-License-Identifier: Apache-2.0
// Asks for clocks that there are not.
//
// exit: 0
// stdout: as it should be
#include "check.h"

int main(void)
{
	__wasi_timestamp_t t;

	for (int64_t id = 0; id < 4; id++) {
		expect(0, __wasi_clock_res_get((__wasi_clockid_t)id, &t));
		expect(0, __wasi_clock_time_get((__wasi_clockid_t)id, -1ULL, &t));
		expect(__WASI_ERRNO_FAULT,
			__wasi_clock_time_get((__wasi_clockid_t)id, 0, (void *)0xfffffffc));
	}
	for (int64_t id = 4; id < 1ULL << 32; id = id * 3 + 1)
		expect(__WASI_ERRNO_INVAL, __wasi_clock_time_get((__wasi_clockid_t)id, 0, &t));
	return done();
}
