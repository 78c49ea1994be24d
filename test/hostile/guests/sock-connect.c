// SPDX-License-Identifier: Apache-2.0
// Connects to itself and does not accept, until nobody answers.
//
// kill: SIGKILL -> 137
// after: running
// network: pod
#include "check.h"
#include "sock.h"

int main(void)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	const address a = {loopback, sizeof(loopback)};
	uint32_t server, client;

	must(sock_open(INET4, STREAM, &server));
	must(sock_bind(server, &a, 7400));
	must(sock_listen(server, 0));
	say("running");
	for (;;) {
		must(sock_open(INET4, STREAM, &client));
		sock_connect(client, &a, 7400);
	}
}
