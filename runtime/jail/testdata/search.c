// SPDX-License-Identifier: Apache-2.0

// Uses a directory that only its owner may search; exits with the number of the call that
// fails.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

int main(void)
{
	int dir = open("/private", O_RDONLY | O_DIRECTORY);
	struct stat st;
	if (dir < 0)
		return 1;
	if (fstatat(dir, "file", &st, 0) != 0)
		return 2;
	if (openat(dir, "file", O_RDONLY) < 0)
		return 3;
	if (open("/private/link", O_RDONLY) < 0)
		return 4;
	if (openat(dir, "link", O_RDONLY) < 0)
		return 5;
	DIR *list = fdopendir(dir);
	int n = 0;
	while (list != 0 && readdir(list) != 0)
		n++;
	return n == 4 ? 0 : 6; // with . and ..
}
