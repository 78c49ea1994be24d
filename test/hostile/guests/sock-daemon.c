// SPDX-License-Identifier: Apache-2.0
// Connects to where the daemon listens: its TCP port, by loopback and by the address of the pod,
// and its socket, which is a file.
//
// exit: 0
// stdout: as it should be
// network: pod
// mount: rw /data
// args: $DAEMON_PORT $DAEMON_SOCKET
#include "files.h"
#include "sock.h"

#include <string.h>

int main(int argc, char **argv)
{
	static const uint8_t hosts[2][4] = {{127, 0, 0, 1}, {10, 231, 77, 1}};
	static uint8_t local[128] = {LOCAL};
	const address file = {local, sizeof(local)};
	uint32_t fd;

	if (argc != 3)
		return 2;
	for (int i = 0; i < 2; i++) {
		const address a = {hosts[i], sizeof(hosts[i])};
		must(sock_open(INET4, STREAM, &fd));
		expect(__WASI_ERRNO_CONNREFUSED, sock_connect(fd, &a, (uint32_t)atoi(argv[1])));
	}
	// There are no sockets of this family, so their addresses are of no use.
	expect(ANY, sock_open(LOCAL, STREAM, &fd));
	expect(ANY, sock_open_v2(LOCAL, STREAM, &fd));
	expect(ANY, sock_open_v2(LOCAL, DATAGRAM, &fd));
	must(sock_open_v2(INET4, STREAM, &fd));
	strcpy((char *)local + 2, argv[2]);
	expect(ANY, sock_connect_v2(fd, &file, 0));
	strcpy((char *)local + 2, "/data/socket");
	expect(ANY, sock_connect_v2(fd, &file, 0));
	expect(ANY, sock_bind_v2(fd, &file, 0));
	expect(ANY, try_open(open_dir(ROOT, "data"), "socket", 0, READ | WRITE));
	return done();
}
