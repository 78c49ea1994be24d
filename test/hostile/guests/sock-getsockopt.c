// SPDX-License-Identifier: Apache-2.0
// Asks for socket options with less room than they take, and with numbers of its own where
// the host expects one of its error numbers. The engine gives up.
//
// exit: 134
// stderr: WebAssembly trap
#include "check.h"
#include "sock.h"

enum { SO_TYPE = 1, SO_ERROR = 2 };

int main(void)
{
	uint32_t fd;
	int32_t value = 0x7ffffff0;

	must(sock_open(INET4, STREAM, &fd));
	for (uint32_t room = 0; room < 4; room++) {
		uint32_t size = room;
		sock_getsockopt(fd, 0, SO_ERROR, &value, &size);
		size = room;
		sock_getsockopt(fd, 0, SO_TYPE, &value, &size);
		size = 0;
		sock_getsockopt(fd, 0, SO_ERROR, (void *)0xfffffff0, &size);
	}
	return 0;
}
