// SPDX-License-Identifier: Apache-2.0
// Lists the directory given.
#include <dirent.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/";
	DIR *dir = opendir(path);

	if (!dir) {
		perror(path);
		return 1;
	}
	for (struct dirent *e; (e = readdir(dir));)
		puts(e->d_name);
	closedir(dir);
	return 0;
}
