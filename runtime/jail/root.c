// SPDX-License-Identifier: Apache-2.0

// The guest's root: a detached mount, and what is mounted in it, in a mount
// namespace that nothing else sees and that is gone with the last thread in it.

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

// A mount namespace that holds what covers masked paths (hide.c), and nothing else.
// Each guest that does not join another one's gets a copy of it, which costs less than
// a copy of the host's namespace and shows nothing of it.
int jail_template_ns = -1;

static void *make_template(void *err_out)
{
	const char **err = err_out;
	*err = NULL;
	if (unshare(CLONE_FS) != 0 || unshare(CLONE_NEWNS) != 0) {
		*err = "unshare(CLONE_NEWNS): CAP_SYS_ADMIN is needed";
		return NULL;
	}
	jail_template_ns = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (jail_template_ns < 0)
		*err = "open /proc/thread-self/ns/mnt: is /proc mounted?";
	else if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		 mount("containerd-wasm", "/proc", "tmpfs", 0, "mode=0755,size=4k") != 0 ||
		 chdir("/proc") != 0 || mkdir("directory", 0555) != 0 ||
		 mknod("file", S_IFREG | 0444, 0) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
		 umount2(".", MNT_DETACH) != 0)
		*err = "making the template mount namespace";
	return NULL;
}

const char *jail_root_init(void)
{
	const char *err = NULL;
	pthread_t thread;
	if (jail_make_thread(&thread, make_template, &err) != 0)
		return "no thread for the template mount namespace";
	pthread_join(thread, NULL);
	return err;
}

// change_mount_attr changes attributes, and ends propagation. A clone propagates as its
// original does, and systemd shares all mounts of a host: what is mounted there later
// would reach the guest, with none of these attributes, and what is mounted in the
// guest's root would be mounted on the host too, and stay.
static int change_mount_attr(
	struct jail *j, int fd, uint64_t set, uint64_t clear, int flags, const char *path)
{
	struct mount_attr attrs;
	memset(&attrs, 0, sizeof(attrs));
	attrs.attr_set = set;
	attrs.attr_clr = clear;
	attrs.propagation = MS_PRIVATE;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attrs, sizeof(attrs)) != 0)
		return jail_fail(j, "mount_setattr", path);
	return 0;
}

int jail_set_mount_attr(struct jail *j, int fd, uint64_t attr, int flags, const char *path)
{
	return change_mount_attr(j, fd, attr, 0, flags, path);
}

// is_sealed: the root is read-only from the beginning. With mounts, mount points may
// have to be made first, unless nobody may.
static bool is_sealed(const struct jail_spec *spec)
{
	return spec->rootfs_sealed || (spec->rootfs_readonly && spec->n_mounts == 0);
}

// clone_root makes a detached mount of the root: no mount point, gone with the
// thread. NODEV: an image may hold device nodes, and there is no device cgroup
// here to deny them.
static int clone_root(struct jail *j)
{
	const struct jail_spec *spec = j->spec;
	int fd = (int)syscall(
		SYS_open_tree, AT_FDCWD, spec->rootfs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return jail_fail(j, "open_tree", spec->rootfs);
	uint64_t attr = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
	if (is_sealed(spec))
		attr |= MOUNT_ATTR_RDONLY;
	return jail_set_mount_attr(j, fd, attr, 0, spec->rootfs) == 0 ? fd : -1;
}

static int fail_tmpfs(struct jail *j, const struct jail_mount *m)
{
	return jail_fail(j, "mount tmpfs", m->target);
}

// make_tmpfs applies options that were checked by the caller to be a list of
// key=value.
static int make_tmpfs(struct jail *j, const struct jail_mount *m)
{
	int ctx = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	if (ctx < 0)
		return fail_tmpfs(j, m);
	char options[256];
	const char *given = m->options != NULL ? m->options : "";
	if (snprintf(options, sizeof(options), "%s", given) >= (int)sizeof(options)) {
		errno = E2BIG;
		return fail_tmpfs(j, m);
	}
	for (char *save, *o = strtok_r(options, ",", &save); o != NULL;
		o = strtok_r(NULL, ",", &save)) {
		char *value = strchr(o, '=');
		if (value == NULL)
			continue;
		*value++ = '\0';
		if (syscall(SYS_fsconfig, ctx, FSCONFIG_SET_STRING, o, value, 0) != 0)
			return fail_tmpfs(j, m);
	}
	if (syscall(SYS_fsconfig, ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return fail_tmpfs(j, m);
	int fd = (int)syscall(SYS_fsmount, ctx, FSMOUNT_CLOEXEC,
		m->attr_set | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
	if (fd < 0)
		return fail_tmpfs(j, m);
	close(ctx);
	return fd;
}

// refuse_proc looks at what was cloned: what the caller looked at was the same only if it
// held it open (Mount.Open). In procfs, /proc/self is the daemon.
static int refuse_proc(struct jail *j, int fd, const char *source)
{
	struct statfs st;
	if (fstatfs(fd, &st) != 0)
		return jail_fail(j, "statfs", source);
	if (st.f_type != PROC_SUPER_MAGIC)
		return 0;
	errno = EPERM;
	return jail_fail(j, "mount procfs", source);
}

static int clone_mount(struct jail *j, const struct jail_mount *m)
{
	if (m->source == NULL)
		return make_tmpfs(j, m);
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (m->recursive ? AT_RECURSIVE : 0);
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, m->source, flags);
	if (fd < 0)
		return jail_fail(j, "open_tree", m->name);
	if (refuse_proc(j, fd, m->name) != 0)
		return -1;
	if (jail_set_mount_attr(j, fd, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID,
		    m->recursive ? AT_RECURSIVE : 0, m->name) != 0)
		return -1;
	if ((m->attr_set | m->attr_clear) != 0 &&
		change_mount_attr(j, fd, m->attr_set, m->attr_clear,
			m->attr_recursive ? AT_RECURSIVE : 0, m->name) != 0)
		return -1;
	return fd;
}

// check_target says of a mount and its mount point what the kernel calls an invalid
// argument.
static int check_target(struct jail *j, mode_t mount, mode_t target, const char *path)
{
	if (S_ISDIR(mount) == S_ISDIR(target))
		return 0;
	errno = S_ISDIR(mount) ? ENOTDIR : EISDIR;
	return jail_fail(j,
		S_ISDIR(mount) ? "mount a directory on the file" : "mount a file on the directory",
		path);
}

// make_one makes a directory or an empty file, if nothing has that name.
static int make_one(const char *path, bool directory)
{
	int made = directory ? mkdir(path, 0755)
			     : open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	if (made >= 0 && !directory)
		close(made);
	return made >= 0 || errno == EEXIST ? 0 : -1;
}

// make_path makes path, and the directories that it is in. If a part of it leads to what
// is not there, as a symlink may, it returns that part's length; else 0, or -1.
static ssize_t make_path(char *path, bool directory)
{
	for (char *end = path; *end != '\0';) {
		end += 1 + strcspn(end + 1, "/");
		char next = *end;
		*end = '\0';
		int err = make_one(path, directory || next == '/');
		if (err == 0)
			err = access(path, F_OK);
		*end = next;
		if (err != 0)
			return errno == ENOENT || errno == ELOOP ? end - path : -1;
	}
	return 0;
}

// follow replaces the first n bytes of path, a symlink, by where it leads.
static int follow(char *path, size_t n)
{
	char link[PATH_MAX], rest[PATH_MAX];
	strcpy(rest, path + n);
	path[n] = '\0';
	ssize_t len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -1;
	link[len] = '\0';
	char *name = link[0] == '/' ? path : strrchr(path, '/') + 1;
	size_t room = PATH_MAX - (size_t)(name - path);
	if (snprintf(name, room, "%s%s", link, rest) < (int)room)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

// As many symlinks as the kernel follows.
#define MAX_LINKS 40

// make_target makes a mount point where there is none: directories for a directory, an
// empty file for a file, also where a symlink leads to nothing, as an image's /var/run
// may. It runs inside the guest's root, so no symlink of an image leads out.
static int make_target(struct jail *j, int fd, const char *target)
{
	struct stat mount, st;
	char path[PATH_MAX];
	ssize_t link = -1;
	if (fstat(fd, &mount) != 0)
		return jail_fail(j, "make mount point", target);
	if (stat(target, &st) == 0)
		return check_target(j, mount.st_mode, st.st_mode, target);
	if (snprintf(path, sizeof(path), "%s", target) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return jail_fail(j, "make mount point", target);
	}
	for (int i = 0; i <= MAX_LINKS; i++) {
		link = make_path(path, S_ISDIR(mount.st_mode));
		if (link <= 0 || follow(path, (size_t)link) != 0)
			break;
		errno = ELOOP;
	}
	return link == 0 ? 0 : jail_fail(j, "make mount point", target);
}

// attach puts the detached mounts fds[0..n) in a namespace of the guest's own.
static int attach(struct jail *j, int root, const int *fds)
{
	const struct jail_spec *spec = j->spec;
	if (setns(jail_template_ns, CLONE_NEWNS) != 0 || unshare(CLONE_NEWNS) != 0)
		return jail_fail(j, "make a mount namespace", NULL);
	int masks = jail_open_masks(j);
	if (masks < 0)
		return -1;
	// On the namespace's own root: AppArmor takes paths from there.
	if (syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0 ||
		fchdir(root) != 0 || chroot(".") != 0)
		return jail_fail(j, "attach root", spec->rootfs);
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const char *target = spec->mounts[i].target;
		if (make_target(j, fds[i], target) != 0)
			return -1;
		if (syscall(SYS_move_mount, fds[i], "", AT_FDCWD, target,
			    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) != 0)
			return jail_fail(j, "mount on", target);
	}
	if (jail_hide(j, masks) != 0)
		return -1;
	if (spec->rootfs_readonly && !is_sealed(spec))
		return jail_set_mount_attr(j, root, MOUNT_ATTR_RDONLY, 0, spec->rootfs);
	return 0;
}

// join_root enters the root of another guest, with what that has mounted: it is in a mount
// namespace of its own, whether it has mounts or not (attach).
static int join_root(struct jail *j)
{
	const struct jail_spec *spec = j->spec;
	int ns = open(spec->mntns, O_RDONLY | O_CLOEXEC);
	int root = open(spec->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ns < 0 || root < 0)
		return jail_fail(j, "open the container's root", spec->rootfs);
	if (setns(ns, CLONE_NEWNS) != 0)
		return jail_fail(j, "join the container's mount namespace", NULL);
	if (fchdir(root) != 0 || chroot(".") != 0)
		return jail_fail(j, "enter the container's root", NULL);
	return 0;
}

int jail_enter_root(struct jail *j)
{
	const struct jail_spec *spec = j->spec;
	if (spec->mntns != NULL)
		return join_root(j);
	int root = clone_root(j);
	if (root < 0)
		return -1;
	int *fds = calloc(spec->n_mounts + 1, sizeof(*fds)); // the stack may be small
	if (fds == NULL)
		return jail_fail(j, "list the mounts of", spec->rootfs);
	size_t n = 0;
	while (n < spec->n_mounts && (fds[n] = clone_mount(j, &spec->mounts[n])) >= 0)
		n++;
	int err = n == spec->n_mounts ? attach(j, root, fds) : -1;
	free(fds);
	return err;
}
