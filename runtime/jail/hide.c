// SPDX-License-Identifier: Apache-2.0

// The spec's masked and read-only paths (OCI runtime specification, "Masked
// Paths", "Readonly Paths"): mounts on top of all others in the guest's root. What
// a path names is looked up inside that root. A path that does not exist there
// needs none.

#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static bool is_absent(int err)
{
	return err == ENOENT || err == ENOTDIR;
}

// lists_all says whether a file system has no names but those that it lists, which is not
// so for FUSE, autofs and others.
static bool lists_all(int fd)
{
	static const unsigned long types[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
		OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC};
	struct statfs fs;
	if (fstatfs(fd, &fs) != 0)
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if ((unsigned long)fs.f_type == types[i])
			return true;
	return false;
}

static bool is_empty_directory(int fd)
{
	_Alignas(struct dirent64) char entries[1024];
	for (;;) {
		long n = syscall(SYS_getdents64, fd, entries, sizeof(entries));
		if (n <= 0)
			return n == 0;
		for (long at = 0; at < n;) {
			const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
			if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
				return false;
			at += entry->d_reclen;
		}
	}
}

// absent_length is the length of the directory at the root that a path is in, if there
// is nothing below it, or 0. Most images have neither /proc nor /sys, or have them empty.
static size_t absent_length(const char *path)
{
	char top[NAME_MAX + 2];
	size_t n = 1 + strcspn(path + 1, "/");
	if (path[n] != '/' || n >= sizeof(top))
		return 0;
	memcpy(top, path, n);
	top[n] = '\0';
	int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return is_absent(errno) ? n : 0;
	bool empty = lists_all(fd) && is_empty_directory(fd);
	close(fd);
	return empty ? n : 0;
}

// jail_open_masks opens the template (root.c), in which there are an empty file and an
// empty directory, which cover what is masked.
int jail_open_masks(struct jail *j)
{
	int fd = open("/", O_PATH | O_CLOEXEC);
	return fd >= 0 ? fd : jail_fail(j, "open the masks", NULL);
}

// cover moves a detached mount onto what target is open on.
static int cover(struct jail *j, int mount, int target, const char *path)
{
	int err = (int)syscall(SYS_move_mount, mount, "", target, "",
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	return err == 0 ? 0 : jail_fail(j, "cover", path);
}

static int mask(struct jail *j, int target, const char *path, int masks)
{
	struct stat st;
	if (fstat(target, &st) != 0)
		return jail_fail(j, "mask", path);
	int mount = (int)syscall(SYS_open_tree, masks, S_ISDIR(st.st_mode) ? "directory" : "file",
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (mount < 0)
		return jail_fail(j, "mask", path);
	if (jail_set_mount_attr(j, mount, MOUNT_ATTR_RDONLY, 0, path) != 0)
		return -1;
	int err = cover(j, mount, target, path);
	close(mount);
	return err;
}

static int make_readonly(struct jail *j, int target, const char *path, int masks)
{
	(void)masks;
	int mount = (int)syscall(SYS_open_tree, target, "",
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (mount < 0)
		return jail_fail(j, "make read-only", path);
	if (jail_set_mount_attr(j, mount, MOUNT_ATTR_RDONLY, AT_RECURSIVE, path) != 0)
		return -1;
	int err = cover(j, mount, target, path);
	close(mount);
	return err;
}

static int each(struct jail *j, const char *const *paths, int masks,
	int (*hide)(struct jail *, int, const char *, int))
{
	const char *absent = "";
	size_t n = 0; // of absent
	for (; paths != NULL && *paths != NULL; paths++) {
		// With ".." it may be elsewhere.
		if (n > 0 && strncmp(*paths, absent, n + 1) == 0 && strstr(*paths, "/..") == NULL)
			continue;
		int target = open(*paths, O_PATH | O_CLOEXEC);
		if (target < 0 && is_absent(errno)) {
			absent = *paths;
			n = absent_length(absent);
			continue;
		}
		if (target < 0)
			return jail_fail(j, "hide", *paths);
		int err = hide(j, target, *paths, masks);
		close(target);
		if (err != 0)
			return -1;
	}
	return 0;
}

// jail_hide runs inside the guest's root, when all its mounts are there.
int jail_hide(struct jail *j, int masks)
{
	if (each(j, j->spec->readonly, masks, make_readonly) != 0)
		return -1;
	return each(j, j->spec->masked, masks, mask);
}
