// SPDX-License-Identifier: Apache-2.0
// Asks for socket options with less room than they take, and with numbers of its own
// where the host expects one of its error numbers.
//
// exit: 0
// stdout: as it should be
#include "check.h"
#include "sock.h"

enum { SO_TYPE = 1, SO_ERROR = 2 };

int main(void)
{
	uint32_t fd;

	must(sock_open(INET4, STREAM, &fd));
	for (uint32_t option = 0; option < 20; option++) {
		for (uint32_t room = 0; room < 5; room++) {
			int32_t value = 0x7ffffff0;
			uint32_t size = room;
			sock_getsockopt(fd, 0, option, &value, &size);
			if (size > 4)
				surprises++;
		}
		uint32_t size = 0;
		sock_getsockopt(fd, 0, option, (void *)0xfffffff0, &size);
	}
	return done();
}
