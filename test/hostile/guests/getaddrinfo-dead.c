// SPDX-License-Identifier: Apache-2.0
// Asks a name server that never answers, which is itself, for as long as it may.
//
// kill: SIGKILL -> 137
// after: running
// network: pod
#include "addrinfo.h"
#include "check.h"

#include <sys/stat.h>

int main(void)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	const address a = {loopback, sizeof(loopback)};
	uint32_t fd;

	mkdir("/etc", 0755);
	FILE *f = fopen("/etc/resolv.conf", "w");
	if (f == NULL)
		return 1;
	fputs("nameserver 127.0.0.1\nnameserver ::1\noptions timeout:30 attempts:5\n", f);
	fclose(f);
	must(sock_open(INET4, DATAGRAM, &fd));
	must(sock_bind(fd, &a, 53));
	say("running");
	for (;;)
		expect(AI_AGAIN, look_up("nowhere.example"));
}
