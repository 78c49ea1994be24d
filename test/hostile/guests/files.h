// SPDX-License-Identifier: Apache-2.0

// Files by way of WASI itself: libc has opinions about paths.
#pragma once

#include "check.h"

enum { ROOT = 3 }; // the preopened directory

enum {
	READ = __WASI_RIGHTS_FD_READ,
	WRITE = __WASI_RIGHTS_FD_WRITE,
	FOLLOW = __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW,
	CREATE = __WASI_OFLAGS_CREAT,
	DIRECTORY = __WASI_OFLAGS_DIRECTORY,
	TRUNCATE = __WASI_OFLAGS_TRUNC,
};

// open_in opens a path below a directory, with symbolic links followed.
static inline uint32_t open_in(
	__wasi_fd_t dir, const char *path, int oflags, uint64_t rights, __wasi_fd_t *fd)
{
	return __wasi_path_open(dir, FOLLOW, path, oflags, rights, rights, 0, fd);
}

// try_open opens and closes.
static inline uint32_t try_open(__wasi_fd_t dir, const char *path, int oflags, uint64_t rights)
{
	__wasi_fd_t fd;
	uint32_t err = open_in(dir, path, oflags, rights, &fd);

	if (err == 0)
		must(__wasi_fd_close(fd));
	return err;
}

// open_dir opens a directory with all that can be had.
static inline __wasi_fd_t open_dir(__wasi_fd_t dir, const char *path)
{
	const uint64_t all = __WASI_RIGHTS_PATH_CREATE_DIRECTORY | __WASI_RIGHTS_PATH_CREATE_FILE |
			     __WASI_RIGHTS_PATH_LINK_SOURCE | __WASI_RIGHTS_PATH_LINK_TARGET |
			     __WASI_RIGHTS_PATH_OPEN | __WASI_RIGHTS_FD_READDIR |
			     __WASI_RIGHTS_PATH_READLINK | __WASI_RIGHTS_PATH_RENAME_SOURCE |
			     __WASI_RIGHTS_PATH_RENAME_TARGET | __WASI_RIGHTS_PATH_FILESTAT_GET |
			     __WASI_RIGHTS_PATH_FILESTAT_SET_SIZE |
			     __WASI_RIGHTS_PATH_FILESTAT_SET_TIMES | __WASI_RIGHTS_FD_FILESTAT_GET |
			     __WASI_RIGHTS_FD_FILESTAT_SET_TIMES | __WASI_RIGHTS_PATH_SYMLINK |
			     __WASI_RIGHTS_PATH_REMOVE_DIRECTORY | __WASI_RIGHTS_PATH_UNLINK_FILE;
	const uint64_t below =
		all | READ | WRITE | __WASI_RIGHTS_FD_ALLOCATE | __WASI_RIGHTS_FD_FILESTAT_SET_SIZE;
	__wasi_fd_t fd;

	must(__wasi_path_open(dir, FOLLOW, path, DIRECTORY, all, below, 0, &fd));
	return fd;
}
