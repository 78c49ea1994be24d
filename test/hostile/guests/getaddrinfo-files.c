// SPDX-License-Identifier: Apache-2.0
// Looks up a name while its configuration is a file of a terabyte, a link to itself, a directory.
//
// exit: 0
#include "addrinfo.h"
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void huge(const char *path, const char *begin)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	if (fd < 0 || write(fd, begin, strlen(begin)) < 0 || ftruncate(fd, 1LL << 40) != 0)
		exit(2);
	close(fd);
}

int main(void)
{
	mkdir("/etc", 0755);
	huge("/etc/hosts", "10.1.2.3 me\n");
	huge("/etc/resolv.conf", "options timeout:1 attempts:1\n");
	expect(0, look_up("me"));
	expect(AI_AGAIN, look_up("nowhere.example"));
	unlink("/etc/hosts");
	unlink("/etc/resolv.conf");
	mkdir("/etc/hosts", 0755);
	symlink("resolv.conf", "/etc/resolv.conf");
	expect(AI_AGAIN, look_up("me"));
	return done();
}
