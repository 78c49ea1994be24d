// SPDX-License-Identifier: Apache-2.0

// What no guest ever needs, denied on its thread alone: calls that reach
// other threads or processes, that change what the whole process shares
// (signal handlers, limits, timers), that could bring in code, or that undo
// the jail. WASI's proc_raise is raise(3), which is tgkill: denied here, a
// guest cannot signal the daemon.
//
// The thread that makes the guests' threads has the filter, and they inherit
// it (spawn.c). So it allows what a jail is made with: unshare, setns,
// open_tree and the like. Those need CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SETUID
// or CAP_SETGID, which no guest is left with (package runtime).

#include "internal.h"

#include <errno.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define FIRST_FOREIGN 0x40000000 // the x32 ABI
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#define FIRST_FOREIGN 0x7fffffff
#endif

#ifndef SYS_open_tree_attr // of Linux 6.15; most headers are older
#define SYS_open_tree_attr 467
#endif

static int denied[] = {
	// other threads and processes
	SYS_kill,
	SYS_tkill,
	SYS_tgkill,
	SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo,
	SYS_pidfd_open,
	SYS_pidfd_getfd,
	SYS_pidfd_send_signal,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_process_madvise,
	SYS_kcmp,
	SYS_setpgid,
	SYS_setsid,
	SYS_setpriority,
	SYS_ioprio_set,
	SYS_sched_setaffinity,
	SYS_sched_setattr,
	SYS_sched_setparam,
	SYS_sched_setscheduler,
	// other programs, the end of this one, new ones
	SYS_execve,
	SYS_execveat,
#ifndef __SANITIZE_ADDRESS__ // which ends the process over what it finds
	SYS_exit_group,
#endif
#if defined(__x86_64__)
	SYS_fork,
	SYS_vfork,
#endif
	// what all threads of the process share
	SYS_rt_sigaction,
	SYS_setrlimit,
	SYS_prlimit64,
	SYS_setitimer,
	SYS_timer_create,
	SYS_mlockall,
	SYS_munlockall,
	SYS_personality,
	SYS_userfaultfd,
	SYS_membarrier,
#if defined(__x86_64__)
	SYS_alarm,
	SYS_modify_ldt,
	SYS_ioperm,
	SYS_iopl,
#endif
	// the jail itself
	SYS_pivot_root,
	SYS_open_tree_attr,
	SYS_mount,
	SYS_umount2,
	SYS_fspick,
	SYS_setuid,
	SYS_setgid,
	SYS_setreuid,
	SYS_setregid,
	SYS_setfsuid,
	SYS_setfsgid,
	SYS_seccomp,
	SYS_name_to_handle_at,
	SYS_open_by_handle_at,
	SYS_mknodat,
#if defined(__x86_64__)
	SYS_mknod,
#endif
	// the kernel
	SYS_bpf,
	SYS_perf_event_open,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_kexec_file_load,
	SYS_shmat,
	SYS_reboot,
	SYS_swapon,
	SYS_swapoff,
	SYS_acct,
	SYS_quotactl,
	SYS_syslog,
	SYS_vhangup,
#if defined(__x86_64__)
	SYS_uselib,
#endif
	SYS_fanotify_init,
	SYS_lookup_dcookie,
	SYS_setdomainname,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_clock_adjtime,
	SYS_adjtimex,
	SYS_mbind,
	SYS_migrate_pages,
	SYS_move_pages,
};

// Executable memory is how code would come in. The low half of the third
// argument (little endian) holds the protection.
static const int denied_executable[] = {SYS_mmap, SYS_mprotect, SYS_pkey_mprotect};

#define N_DENIED (sizeof(denied) / sizeof(*denied))
#define N_EXECUTABLE (sizeof(denied_executable) / sizeof(*denied_executable))

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define JUMP(op, k, yes, no) BPF_JUMP(BPF_JMP | (op) | BPF_K, k, yes, no)
#define DENY BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

// pthread_create is clone with CLONE_THREAD; anything else is a new process.
// Where there is no clone3, libc falls back to clone.
#define NO_SUCH_CALL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)

// At most: the head, a leaf of three for each call and a node between each
// two.
static struct sock_filter filter[20 + 5 * N_EXECUTABLE + 4 * N_DENIED];
static struct sock_fprog program = {.filter = filter};

static void emit(struct sock_filter instruction)
{
	filter[program.len++] = instruction;
}

static void emit_all(const struct sock_filter *instructions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		emit(instructions[i]);
}

#define EMIT(...)                                                 \
	do {                                                      \
		const struct sock_filter block[] = {__VA_ARGS__}; \
		emit_all(block, sizeof(block) / sizeof(*block));  \
	} while (0)

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

// The longest jump of the search is over its first half.
_Static_assert(4 * (N_DENIED / 2) - 1 <= UCHAR_MAX, "a jump of BPF has one byte");

// emit_search denies the calls of list[0..n), which is sorted.
static void emit_search(const int *list, size_t n)
{
	if (n == 1) {
		EMIT(JUMP(BPF_JEQ, (unsigned)list[0], 0, 1), DENY, ALLOW);
		return;
	}
	size_t half = n / 2, node = program.len;
	EMIT(JUMP(BPF_JGE, (unsigned)list[half], 0, 0));
	emit_search(list, half);
	filter[node].jt = (unsigned char)(program.len - node - 1);
	emit_search(list + half, n - half);
}

static void build(void)
{
	qsort(denied, N_DENIED, sizeof(*denied), compare);
	EMIT(LOAD(arch), JUMP(BPF_JEQ, ARCH, 1, 0), DENY);
	EMIT(LOAD(nr), JUMP(BPF_JGE, FIRST_FOREIGN, 0, 1), DENY);
	EMIT(JUMP(BPF_JEQ, SYS_clone3, 0, 1), NO_SUCH_CALL);
	EMIT(JUMP(BPF_JEQ, SYS_clone, 0, 4), LOAD(args[0]), JUMP(BPF_JSET, CLONE_THREAD, 1, 0),
		DENY, ALLOW);
	// With SO_LINGER, closing a socket could hold up the end of a guest.
	EMIT(JUMP(BPF_JEQ, SYS_setsockopt, 0, 6), LOAD(args[1]), JUMP(BPF_JEQ, SOL_SOCKET, 0, 3),
		LOAD(args[2]), JUMP(BPF_JEQ, SO_LINGER, 0, 1), DENY, ALLOW);
	for (size_t i = 0; i < N_EXECUTABLE; i++)
		EMIT(JUMP(BPF_JEQ, (unsigned)denied_executable[i], 0, 4), LOAD(args[2]),
			JUMP(BPF_JSET, PROT_EXEC, 0, 1), DENY, ALLOW);
	emit_search(denied, N_DENIED);
}

const char *jail_seccomp(void)
{
	build();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return "prctl(PR_SET_NO_NEW_PRIVS)";
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
		return "seccomp: CONFIG_SECCOMP_FILTER is needed";
	return NULL;
}

// jail_seccomp_profile adds the container's own profile, which the kernel asks as
// well: the stricter answer holds.
int jail_seccomp_profile(struct jail *j)
{
	const struct jail_spec *spec = j->spec;
	struct sock_fprog fprog = {
		.len = spec->n_filter, .filter = (struct sock_filter *)spec->filter};
	if (spec->n_filter != 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog, 0, 0) != 0)
		return jail_fail(j, "install the seccomp profile", NULL);
	return 0;
}

// Once a guest is to end, its thread may do what takes that, and nothing that
// waits: a host call fails and comes back, however often it would try again.
void jail_seccomp_end(void)
{
	static const int allowed[] = {
		SYS_close,
		SYS_close_range,
		SYS_munmap,
		SYS_mmap,
		SYS_mprotect,
		SYS_madvise,
		SYS_brk,
		SYS_futex,
		SYS_rt_sigreturn,
		SYS_rt_sigprocmask,
		SYS_sigaltstack,
		SYS_clock_gettime,
		SYS_gettid,
		SYS_timer_delete,
		SYS_exit,
#ifdef __SANITIZE_ADDRESS__
		SYS_sched_getaffinity, // longjmp asks where the stack is
		SYS_exit_group,
#endif
	};
	enum { N = sizeof(allowed) / sizeof(*allowed) };
	struct sock_filter end[2 * N + 2];
	unsigned short n = 0;
	end[n++] = (struct sock_filter)LOAD(nr);
	for (size_t i = 0; i < N; i++) {
		end[n++] = (struct sock_filter)JUMP(BPF_JEQ, (unsigned)allowed[i], 0, 1);
		end[n++] = (struct sock_filter)ALLOW;
	}
	end[n++] = (struct sock_filter)DENY;
	struct sock_fprog fprog = {.len = n, .filter = end};
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog, 0, 0);
}
