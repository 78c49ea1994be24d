// SPDX-License-Identifier: Apache-2.0

// What makes a thread a jail: its own fd table, namespaces, root and
// credentials. Only raw system calls: libc's wrappers of setuid and friends
// would change every thread of the process.

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// A mount namespace that holds one empty directory, /root. Guests with mounts
// get a copy of it, which costs less than a copy of the host's namespace and
// shows nothing of it.
static int template_ns = -1;

extern int __nss_configure_lookup(const char *database, const char *services);

static void *make_template(void *err_out)
{
	const char **err = err_out;
	*err = NULL;
	if (unshare(CLONE_FS) != 0 || unshare(CLONE_NEWNS) != 0) {
		*err = "unshare(CLONE_NEWNS): CAP_SYS_ADMIN is needed";
		return NULL;
	}
	template_ns = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (template_ns < 0)
		*err = "open /proc/thread-self/ns/mnt: is /proc mounted?";
	else if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		 mount("containerd-wasm", "/proc", "tmpfs", 0, "mode=0755,size=4k") != 0 ||
		 chdir("/proc") != 0 || mkdir("root", 0755) != 0 ||
		 syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0)
		*err = "making the template mount namespace";
	return NULL;
}

const char *jail_isolate_init(void)
{
	// A guest's getaddrinfo reads files in its root. It must not load code from
	// there: only the two services that are part of libc itself (since 2.34).
	if (__nss_configure_lookup("hosts", "files dns") != 0)
		return "configuring the resolver";
	const char *err = NULL;
	pthread_t thread;
	if (pthread_create(&thread, NULL, make_template, &err) != 0)
		return "no thread for the template mount namespace";
	pthread_join(thread, NULL);
	return err;
}

// own_files leaves only the template namespace in a private fd table.
static int own_files(struct jail *j)
{
	if (syscall(SYS_close_range, template_ns + 1, ~0U, CLOSE_RANGE_UNSHARE) != 0 ||
		syscall(SYS_close_range, 0, template_ns - 1, 0) != 0)
		return jail_fail(j, "close_range", NULL);
	if (unshare(CLONE_FS) != 0)
		return jail_fail(j, "unshare(CLONE_FS)", NULL);
	syscall(SYS_umask, j->spec->umask);
	return 0;
}

static int join_network(struct jail *j)
{
	const struct jail_spec *spec = j->spec;
	if (spec->netns == NULL) {
		if (spec->new_netns && unshare(CLONE_NEWNET) != 0)
			return jail_fail(j, "unshare(CLONE_NEWNET)", NULL);
		return 0;
	}
	int fd = open(spec->netns, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return jail_fail(j, "open network namespace", spec->netns);
	if (setns(fd, CLONE_NEWNET) != 0)
		return jail_fail(j, "join network namespace", spec->netns);
	close(fd);
	return 0;
}

static int write_sysctl(struct jail *j, const struct jail_sysctl *ctl)
{
	int fd = open(ctl->path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return jail_fail(j, "open sysctl", ctl->path);
	ssize_t len = (ssize_t)strlen(ctl->value);
	if (write(fd, ctl->value, (size_t)len) != len)
		return jail_fail(j, "write sysctl", ctl->path);
	close(fd);
	return 0;
}

static int own_ipc_uts(struct jail *j)
{
	const struct jail_spec *spec = j->spec;
	int flags = (spec->new_ipc ? CLONE_NEWIPC : 0) | (spec->new_uts ? CLONE_NEWUTS : 0);
	if (flags != 0 && unshare(flags) != 0)
		return jail_fail(j, "unshare(CLONE_NEWIPC, CLONE_NEWUTS)", NULL);
	if (spec->hostname != NULL && sethostname(spec->hostname, strlen(spec->hostname)) != 0)
		return jail_fail(j, "sethostname", spec->hostname);
	for (size_t i = 0; i < spec->n_sysctls; i++)
		if (write_sysctl(j, &spec->sysctls[i]) != 0)
			return -1;
	return 0;
}

// open_stdio makes fds 0, 1 and 2: WasmEdge 0.14 binds the guest's stdio to
// those numbers. No stdin is a pipe without a writer, not /dev/null, which
// epoll refuses: a guest that polls it would see EPERM.
static int open_stdio(struct jail *j)
{
	for (int i = 0; i < 3; i++) {
		const struct jail_file *file = &j->spec->stdio[i];
		const char *path = file->path;
		int fd;
		if (path != NULL) {
			fd = open(path, file->flags | O_NOCTTY, 0644);
		} else if (i == 0) {
			int ends[2];
			fd = pipe2(ends, 0);
			if (fd == 0) {
				close(ends[1]);
				fd = ends[0];
			}
		} else {
			path = "/dev/null";
			fd = open(path, O_WRONLY);
		}
		if (fd != i) {
			if (fd >= 0)
				errno = EBADF;
			static const char *const names[] = {
				"open stdin", "open stdout", "open stderr"};
			return jail_fail(j, names[i], path);
		}
	}
	return 0;
}

static int set_attr(struct jail *j, int fd, uint64_t attr, int flags, const char *path)
{
	struct mount_attr attrs;
	memset(&attrs, 0, sizeof(attrs));
	attrs.attr_set = attr;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attrs, sizeof(attrs)) != 0)
		return jail_fail(j, "mount_setattr", path);
	return 0;
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
	// With mounts, mount points may have to be made first.
	if (spec->rootfs_readonly && spec->n_mounts == 0)
		attr |= MOUNT_ATTR_RDONLY;
	return set_attr(j, fd, attr, 0, spec->rootfs) == 0 ? fd : -1;
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
	snprintf(options, sizeof(options), "%s", m->options != NULL ? m->options : "");
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

static int clone_mount(struct jail *j, const struct jail_mount *m)
{
	if (m->source == NULL)
		return make_tmpfs(j, m);
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (m->recursive ? AT_RECURSIVE : 0);
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, m->source, flags);
	if (fd < 0)
		return jail_fail(j, "open_tree", m->source);
	if (set_attr(j, fd, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, m->recursive ? AT_RECURSIVE : 0,
		    m->source) != 0)
		return -1;
	if (m->attr_set != 0 &&
		set_attr(j, fd, m->attr_set, m->attr_recursive ? AT_RECURSIVE : 0, m->source) != 0)
		return -1;
	return fd;
}

// make_target makes a mount point where there is none: directories for a
// directory, an empty file for a file. It runs inside the guest's root, so no
// symlink of an image leads out.
static int make_target(struct jail *j, int fd, const char *target)
{
	struct stat st;
	char path[PATH_MAX];
	if (stat(target, &st) == 0)
		return 0;
	if (snprintf(path, sizeof(path), "%s", target) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return jail_fail(j, "make mount point", target);
	}
	for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return jail_fail(j, "make mount point", target);
		*p = '/';
	}
	if (fstat(fd, &st) != 0)
		return jail_fail(j, "make mount point", target);
	int made;
	if (S_ISDIR(st.st_mode)) {
		made = mkdir(path, 0755);
	} else {
		made = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
		if (made >= 0)
			close(made);
	}
	if (made < 0 && errno != EEXIST)
		return jail_fail(j, "make mount point", target);
	return 0;
}

// attach puts the detached mounts fds[0..n) in a namespace of the guest's own.
static int attach(struct jail *j, int root, const int *fds)
{
	const struct jail_spec *spec = j->spec;
	if (setns(template_ns, CLONE_NEWNS) != 0 || unshare(CLONE_NEWNS) != 0)
		return jail_fail(j, "make a mount namespace", NULL);
	if (syscall(SYS_move_mount, root, "", AT_FDCWD, "/root", MOVE_MOUNT_F_EMPTY_PATH) != 0 ||
		chdir("/root") != 0 || chroot(".") != 0)
		return jail_fail(j, "attach root", spec->rootfs);
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const char *target = spec->mounts[i].target;
		if (make_target(j, fds[i], target) != 0)
			return -1;
		if (syscall(SYS_move_mount, fds[i], "", AT_FDCWD, target,
			    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) != 0)
			return jail_fail(j, "mount on", target);
	}
	if (spec->rootfs_readonly)
		return set_attr(j, root, MOUNT_ATTR_RDONLY, 0, spec->rootfs);
	return 0;
}

static int enter_root(struct jail *j)
{
	const struct jail_spec *spec = j->spec;
	int root = clone_root(j);
	if (root < 0)
		return -1;
	if (spec->n_mounts == 0) {
		if (fchdir(root) != 0 || chroot(".") != 0)
			return jail_fail(j, "chroot", spec->rootfs);
		return 0;
	}
	int fds[spec->n_mounts];
	for (size_t i = 0; i < spec->n_mounts; i++) {
		fds[i] = clone_mount(j, &spec->mounts[i]);
		if (fds[i] < 0)
			return -1;
	}
	return attach(j, root, fds);
}

int jail_isolate(struct jail *j)
{
	if (own_files(j) != 0 || join_network(j) != 0 || own_ipc_uts(j) != 0)
		return -1;
	if (j->spec->rootfs != NULL && (open_stdio(j) != 0 || enter_root(j) != 0))
		return -1;
	if (syscall(SYS_close_range, j->spec->rootfs != NULL ? 3 : 0, ~0U, 0) != 0)
		return jail_fail(j, "close_range", NULL);
	return 0;
}

// Ambient, inheritable and bounding sets matter only to execve, which no guest
// can reach (seccomp.c).
int jail_drop_privileges(struct jail *j)
{
	const struct jail_spec *spec = j->spec;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2];
	memset(caps, 0, sizeof(caps));
	for (int i = 0; i < 2; i++)
		caps[i].effective = caps[i].permitted = (uint32_t)(spec->caps >> (32 * i));
	if (syscall(SYS_setgroups, spec->n_groups, spec->groups) != 0)
		return jail_fail(j, "setgroups", NULL);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
		return jail_fail(j, "prctl(PR_SET_KEEPCAPS)", NULL);
	if (syscall(SYS_setresgid, spec->gid, spec->gid, spec->gid) != 0)
		return jail_fail(j, "setresgid", NULL);
	if (syscall(SYS_setresuid, spec->uid, spec->uid, spec->uid) != 0)
		return jail_fail(j, "setresuid", NULL);
	if (syscall(SYS_capset, &header, caps) != 0)
		return jail_fail(j, "capset", NULL);
	return 0;
}
