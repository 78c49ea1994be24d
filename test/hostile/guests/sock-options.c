// SPDX-License-Identifier: Apache-2.0
// Sets and asks for every socket option, with values that make no sense.
//
// exit: 0
// stdout: as it should be
#include "check.h"
#include "sock.h"

static const uint32_t sizes[] = {4, 5, 8, 16, 64, 65536};

int main(void)
{
	static int32_t value[16384];
	uint32_t fd;

	must(sock_open(INET4, STREAM, &fd));
	for (uint32_t option = 0; option < 40; option++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			for (int v = -1; v < 2; v++) {
				for (int k = 0; k < 16; k++)
					value[k] = v;
				sock_setsockopt(fd, option / 20, option % 20, value, sizes[i]);
				uint32_t size = sizes[i];
				sock_getsockopt(fd, option / 20, option % 20, value, &size);
			}
	// With a time to linger, closing would wait.
	const int32_t linger[2] = {1, 1000};
	expect(ANY, sock_setsockopt(fd, 0, 9, linger, sizeof(linger)));
	return done();
}
