// SPDX-License-Identifier: Apache-2.0

// What no guest ever needs, denied on its thread alone: calls that reach
// other threads or processes, that change what the whole process shares
// (signal handlers, limits, timers), that could bring in code, or that undo
// the jail. WASI's proc_raise is raise(3), which is tgkill: denied here, a
// guest cannot signal the daemon. The OCI spec's own profile comes on top.

#include "internal.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define FIRST_FOREIGN 0x40000000 // the x32 ABI
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#define FIRST_FOREIGN 0x7fffffff
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define DENY RETURN(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW RETURN(SECCOMP_RET_ALLOW)
#define DENY_CALL(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), DENY
// Executable memory is how code would come in. The low half of the third
// argument (little endian) holds the protection.
#define DENY_EXEC_MEMORY(name)                                                 \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 4), LOAD(args[2]),        \
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), DENY, ALLOW

static struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
    DENY,
    LOAD(nr),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_FOREIGN, 0, 1),
    DENY,
    DENY_EXEC_MEMORY(mmap),
    DENY_EXEC_MEMORY(mprotect),
    DENY_EXEC_MEMORY(pkey_mprotect),
    // other threads and processes
    DENY_CALL(kill),
    DENY_CALL(tkill),
    DENY_CALL(tgkill),
    DENY_CALL(rt_sigqueueinfo),
    DENY_CALL(rt_tgsigqueueinfo),
    DENY_CALL(pidfd_open),
    DENY_CALL(pidfd_getfd),
    DENY_CALL(pidfd_send_signal),
    DENY_CALL(ptrace),
    DENY_CALL(process_vm_readv),
    DENY_CALL(process_vm_writev),
    DENY_CALL(process_madvise),
    DENY_CALL(kcmp),
    DENY_CALL(setpgid),
    DENY_CALL(setsid),
    DENY_CALL(setpriority),
    DENY_CALL(ioprio_set),
    DENY_CALL(sched_setaffinity),
    DENY_CALL(sched_setattr),
    DENY_CALL(sched_setparam),
    DENY_CALL(sched_setscheduler),
    // new ones, other programs, the end of this one
    DENY_CALL(clone),
    DENY_CALL(clone3),
#if defined(__x86_64__)
    DENY_CALL(fork),
    DENY_CALL(vfork),
#endif
    DENY_CALL(execve),
    DENY_CALL(execveat),
    DENY_CALL(exit_group),
    // what all threads of the process share
    DENY_CALL(rt_sigaction),
    DENY_CALL(setrlimit),
    DENY_CALL(prlimit64),
    DENY_CALL(setitimer),
    DENY_CALL(timer_create),
    DENY_CALL(mlockall),
    DENY_CALL(munlockall),
    DENY_CALL(personality),
    DENY_CALL(userfaultfd),
    DENY_CALL(membarrier),
#if defined(__x86_64__)
    DENY_CALL(alarm),
    DENY_CALL(modify_ldt),
    DENY_CALL(ioperm),
    DENY_CALL(iopl),
#endif
    // the jail itself
    DENY_CALL(setns),
    DENY_CALL(unshare),
    DENY_CALL(chroot),
    DENY_CALL(pivot_root),
    DENY_CALL(mount),
    DENY_CALL(umount2),
    DENY_CALL(move_mount),
    DENY_CALL(open_tree),
    DENY_CALL(fsopen),
    DENY_CALL(fspick),
    DENY_CALL(fsmount),
    DENY_CALL(fsconfig),
    DENY_CALL(mount_setattr),
    DENY_CALL(setuid),
    DENY_CALL(setgid),
    DENY_CALL(setreuid),
    DENY_CALL(setregid),
    DENY_CALL(setresuid),
    DENY_CALL(setresgid),
    DENY_CALL(setfsuid),
    DENY_CALL(setfsgid),
    DENY_CALL(setgroups),
    DENY_CALL(capset),
    DENY_CALL(prctl),
    DENY_CALL(seccomp),
    DENY_CALL(name_to_handle_at),
    DENY_CALL(open_by_handle_at),
    DENY_CALL(mknodat),
#if defined(__x86_64__)
    DENY_CALL(mknod),
#endif
    // the kernel
    DENY_CALL(bpf),
    DENY_CALL(perf_event_open),
    DENY_CALL(io_uring_setup),
    DENY_CALL(io_uring_enter),
    DENY_CALL(io_uring_register),
    DENY_CALL(keyctl),
    DENY_CALL(add_key),
    DENY_CALL(request_key),
    DENY_CALL(init_module),
    DENY_CALL(finit_module),
    DENY_CALL(delete_module),
    DENY_CALL(kexec_load),
    DENY_CALL(reboot),
    DENY_CALL(swapon),
    DENY_CALL(swapoff),
    DENY_CALL(acct),
    DENY_CALL(quotactl),
    DENY_CALL(syslog),
    DENY_CALL(vhangup),
    DENY_CALL(fanotify_init),
    DENY_CALL(lookup_dcookie),
    DENY_CALL(sethostname),
    DENY_CALL(setdomainname),
    DENY_CALL(settimeofday),
    DENY_CALL(clock_settime),
    DENY_CALL(clock_adjtime),
    DENY_CALL(adjtimex),
    DENY_CALL(mbind),
    DENY_CALL(migrate_pages),
    DENY_CALL(move_pages),
    ALLOW,
};

int jail_seccomp(struct jail *j) {
  static const struct sock_fprog program = {
      .len = sizeof(filter) / sizeof(*filter),
      .filter = filter,
  };
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
    return jail_fail(j, "seccomp", NULL);
  return 0;
}
