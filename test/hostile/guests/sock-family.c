// SPDX-License-Identifier: Apache-2.0
// Gives addresses of families that there are not. The engine gives up.
//
// exit: 134
// stderr: WebAssembly trap
#include "check.h"
#include "sock.h"

int main(void)
{
	uint16_t storage[64] = {0};
	const address a = {storage, sizeof(storage)};
	uint32_t fd;

	must(sock_open_v2(INET4, STREAM, &fd));
	for (uint32_t family = 4; family < 65536; family += 257) {
		storage[0] = (uint16_t)family;
		sock_bind_v2(fd, &a, 80);
		sock_connect_v2(fd, &a, 80);
	}
	return 0;
}
