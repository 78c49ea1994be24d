// SPDX-License-Identifier: Apache-2.0

// What the kernel alone takes for the system calls that confine a guest's thread, in
// their order, with no engine and no Go: once for each byte on fd 3, which is 1 for a
// thread that makes the calls and 0 for one that does nothing. Writes to fd 4 the
// nanoseconds from the creation of the thread to its end, as 8 bytes.
//
//	calls ROOT NETNS CGROUP FILTER    the latter two are files

#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *root, *netns, *cgroup;
static struct sock_fprog profile;
static int template_ns; // almost empty, as in root.c

static void must(int ok)
{
	if (!ok)
		exit(1);
}

static void join(void)
{
	int group = open(cgroup, O_WRONLY | O_CLOEXEC);
	must(group >= 0 && write(group, "0", 1) == 1);
	close(group);
	int net = open(netns, O_RDONLY | O_CLOEXEC);
	must(net >= 0 && setns(net, CLONE_NEWNET) == 0);
	close(net);
}

static void enter_root(void)
{
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, root, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY};
	must(tree >= 0 && syscall(SYS_mount_setattr, tree, "", 0x1000, &attr, sizeof(attr)) == 0);
	must(setns(template_ns, CLONE_NEWNS) == 0 && unshare(CLONE_NEWNS) == 0);
	must(syscall(SYS_move_mount, tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) == 0);
	must(fchdir(tree) == 0 && chroot(".") == 0);
	close(tree);
}

static void drop(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {{0}};
	gid_t group = 2000;
	must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
	must(syscall(SYS_setgroups, 1, &group) == 0);
	must(syscall(SYS_setresgid, 1000, 1000, 1000) == 0);
	must(syscall(SYS_setresuid, -3, 1000, -3) == 0);
	must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
	must(syscall(SYS_capset, &header, caps) == 0);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &profile) == 0);
}

static void *confined(void *unused)
{
	must(syscall(SYS_close_range, template_ns + 1, ~0U, CLOSE_RANGE_UNSHARE) == 0);
	must(unshare(CLONE_FS) == 0);
	join();
	enter_root();
	drop();
	return unused;
}

static void *bare(void *unused)
{
	return unused;
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *make_template(void *unused)
{
	must(unshare(CLONE_FS) == 0 && unshare(CLONE_NEWNS) == 0);
	template_ns = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	must(mount("calls", "/proc", "tmpfs", 0, "size=4k") == 0 && chdir("/proc") == 0);
	must(syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0);
	return unused;
}

static void run(void *(*main)(void *))
{
	pthread_t thread;
	must(pthread_create(&thread, NULL, main, NULL) == 0);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	must(argc == 5);
	root = argv[1], netns = argv[2], cgroup = argv[3];
	static struct sock_filter filter[4096];
	int fd = open(argv[4], O_RDONLY | O_CLOEXEC);
	ssize_t size = read(fd, filter, sizeof(filter));
	must(size > 0);
	close(fd);
	profile.len = (unsigned short)((size_t)size / sizeof(*filter)), profile.filter = filter;
	run(make_template);
	char order;
	while (read(3, &order, 1) == 1) {
		uint64_t begin = now();
		run(order != 0 ? confined : bare);
		uint64_t took = now() - begin;
		must(write(4, &took, sizeof(took)) == sizeof(took));
	}
	return 0;
}
