// SPDX-License-Identifier: Apache-2.0

// What makes a thread a jail: its own fd table, namespaces and credentials
// (its root: root.c). Only raw system calls: libc's wrappers of setuid and friends
// would change every thread of the process.

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

extern int __nss_configure_lookup(const char *database, const char *services);

const char *jail_isolate_init(void)
{
	// On a guest's thread, name services would be looked up in files of its
	// root, and modules for them loaded from there, into the daemon. Only
	// services that are part of libc itself (since 2.34) are left.
	static const char *const databases[] = {"aliases", "ethers", "group", "gshadow",
		"initgroups", "netgroup", "networks", "passwd", "protocols", "publickey", "rpc",
		"services", "shadow"};
	for (size_t i = 0; i < sizeof(databases) / sizeof(*databases); i++)
		if (__nss_configure_lookup(databases[i], "files") != 0)
			return "configuring the name services";
	if (__nss_configure_lookup("hosts", "files dns") != 0)
		return "configuring the resolver";
	return jail_root_init();
}

// jail_own_state gives the thread a table of files, with the template namespace only, a
// root and umask.
int jail_own_state(struct jail *j)
{
	if (syscall(SYS_close_range, jail_template_ns + 1, ~0U, CLOSE_RANGE_UNSHARE) != 0 ||
		syscall(SYS_close_range, 0, jail_template_ns - 1, 0) != 0)
		return jail_fail(j, "close_range", NULL);
	if (unshare(CLONE_FS) != 0)
		return jail_fail(j, "unshare(CLONE_FS)", NULL);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) // for jail_drop_privileges
		return jail_fail(j, "prctl(PR_SET_KEEPCAPS)", NULL);
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
	int fd = open(spec->netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return jail_fail(j, "open network namespace", spec->netns);
	if (setns(fd, CLONE_NEWNET) != 0)
		return jail_fail(j, "join network namespace", spec->netns);
	close(fd);
	return 0;
}

static int write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t len = (ssize_t)strlen(value);
	int err = write(fd, value, (size_t)len) == len ? 0 : -1;
	close(fd);
	return err;
}

// "0" is the writer. A thread that moves itself takes 20 us; if another one wrote
// its number, that would take a lock which waits for an RCU grace period, 10 ms
// (cgroup_attach_lock, since Linux 5.5).
int jail_join_cgroup(const char *file)
{
	return write_file(file, "0");
}

static int join_cgroup(struct jail *j)
{
	const char *file = j->spec->cgroup;
	if (file != NULL && jail_join_cgroup(file) != 0)
		return jail_fail(j, "join cgroup", file);
	return 0;
}

static int write_sysctl(struct jail *j, const struct jail_sysctl *ctl)
{
	return write_file(ctl->path, ctl->value) == 0 ? 0 : jail_fail(j, "write sysctl", ctl->path);
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
			// A FIFO without a peer must fail, not wait.
			fd = open(path, file->flags | O_NOCTTY | O_NONBLOCK, 0644);
			if (fd >= 0 && fcntl(fd, F_SETFL, file->flags & O_APPEND) != 0)
				return jail_fail(j, "set the flags of", path);
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

// The number at which a thread holds the file by which it changes its AppArmor
// profile, until it does: 3 is to be the guest's root.
#define APPARMOR_FD 4

// open_apparmor: procfs is out of reach later. Where AppArmor is not enabled, package
// runtime refuses the profile.
static int open_apparmor(struct jail *j)
{
	if (j->spec->apparmor == NULL)
		return 0;
	int fd = open("/proc/thread-self/attr/apparmor/current", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dup2(fd, APPARMOR_FD) < 0)
		return jail_fail(j, "open what changes to AppArmor profile", j->spec->apparmor);
	if (fd != APPARMOR_FD)
		close(fd);
	return 0;
}

int jail_apply_apparmor(struct jail *j)
{
	if (j->spec->apparmor == NULL)
		return 0;
	char order[PATH_MAX];
	int n = snprintf(order, sizeof(order), "changeprofile %s", j->spec->apparmor);
	if (n >= (int)sizeof(order)) {
		errno = ENAMETOOLONG;
		n = -1;
	}
	if (n < 0 || write(APPARMOR_FD, order, (size_t)n) != n)
		return jail_fail(j, "change to AppArmor profile", j->spec->apparmor);
	close(APPARMOR_FD);
	return 0;
}

// isolate_guest leaves stdio, and the file that changes the profile.
static int isolate_guest(struct jail *j)
{
	if (open_stdio(j) != 0 || open_apparmor(j) != 0 || jail_enter_root(j) != 0)
		return -1;
	unsigned rest = APPARMOR_FD + (j->spec->apparmor != NULL ? 1 : 0);
	if (syscall(SYS_close_range, 3, APPARMOR_FD - 1, 0) != 0 ||
		syscall(SYS_close_range, rest, ~0U, 0) != 0)
		return jail_fail(j, "close_range", NULL);
	return 0;
}

int jail_isolate(struct jail *j)
{
	if (join_cgroup(j) != 0 || join_network(j) != 0 || own_ipc_uts(j) != 0)
		return -1;
	syscall(SYS_umask, j->spec->umask);
	if (j->spec->rootfs != NULL)
		return isolate_guest(j);
	if (syscall(SYS_close_range, 0, ~0U, 0) != 0)
		return jail_fail(j, "close_range", NULL);
	return 0;
}

// What signals a thread, or changes its limits, does so to its process, and the kernel
// asks for the thread's real and saved user id only (kill_ok_by_cred,
// check_prlimit_permission). Were they the guest's, whoever has its user elsewhere on the
// node could end the daemon. Were they root's, the kernel would tell peers of AF_UNIX
// sockets that root writes to them (SCM_CREDENTIALS). So they are nobody's: Kubernetes
// has user ids below 1 << 31. A user namespace that the daemon is in may not have it.
#define NOBODYS_UID 0xfffffffdU

static int become(uid_t uid)
{
	if (syscall(SYS_setresuid, NOBODYS_UID, uid, NOBODYS_UID) == 0)
		return 0;
	return errno == EINVAL ? (int)syscall(SYS_setresuid, -1, uid, -1) : -1;
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
	if (syscall(SYS_setresgid, spec->gid, spec->gid, spec->gid) != 0)
		return jail_fail(j, "setresgid", NULL);
	if (become(spec->uid) != 0)
		return jail_fail(j, "setresuid", NULL);
	// The kernel has just set it to fs.suid_dumpable, for all threads (commit_creds).
	if (jail_keep_out() != 0)
		return jail_fail(j, "PR_SET_DUMPABLE", NULL);
	if (syscall(SYS_capset, &header, caps) != 0)
		return jail_fail(j, "capset", NULL);
	return 0;
}
