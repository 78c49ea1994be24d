// SPDX-License-Identifier: Apache-2.0

// Functions of libc that libwasmedge calls, and that it finds here first: the
// dynamic linker looks into the program before any library. On a guest's thread
// they keep the guest's limits, which the kernel has for whole processes only;
// on all other threads they do what libc's do.
//
//   mmap                  the engine's way to enlarge linear memory
//   mprotect, munmap      its way to make code executable, and to give it back
//   open, ...             whatever makes a file descriptor
//   faccessat             by which of a thread's users the kernel is asked
//   fdopendir, closedir   what a directory that is read takes of libc's heap
//   epoll_wait, connect,  blocking calls that SA_RESTART does not restart: the first one
//   accept, recvmsg,      never, the others not on a socket with a timeout (SO_RCVTIMEO,
//   sendmsg, readv,       SO_SNDTIMEO), which then begins once more
//   writev
//   getsockopt, recvmsg   what the engine gets wrong of their results
//   operator new, delete  what a host call takes of the engine's heap
//   __assert_fail, abort  how the engine gives up on a host call
//   __register_frame, ... how it tells the unwinder of a module's code
//   __longjmp_chk         how it ends a call of guest code that traps (trace.c)
//
// libc's own calls, such as malloc's, do not come here.

#include "internal.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// What WasmEdge reserves for one linear memory: 4 GiB that 32 bits address, and
// guards (lib/system/allocator.cpp).
#define LINEAR_RESERVE ((size_t)12 << 30)

// give_up ends the guest in whose host call the engine gives up: Debian builds
// WasmEdge with assertions, some of which a guest can make fail, and an exception
// such as bad_alloc ends in abort. The engine holds locks only of the guest's own
// there, and leaves what it had half made. libc's allocator, which aborts when the
// heap is damaged, does not come here.
static void give_up(void)
{
	struct jail *j = jail_self;
	if (j != NULL && guest_may_run(j)) {
		siginfo_t info = {.si_signo = SIGSEGV};
		j->fault = JAIL_END_TRAP;
		jail_end_guest(&info, NULL);
	}
}

void __assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
	give_up();
	fprintf(stderr, "%s:%u: %s: assertion failed: %s\n", file, line, function, what);
	abort();
}

void abort(void)
{
	give_up();
	if (jail_self != NULL)
		jail_stop_daemon(jail_self, &(siginfo_t){.si_signo = SIGABRT}, 0);
	signal(SIGABRT, SIG_DFL);
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGABRT);
	_exit(127);
}

static void *raw_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	// NOLINTNEXTLINE(performance-no-int-to-ptr): that is what mmap returns.
	return (void *)syscall(SYS_mmap, at, size, prot, flags, fd, offset);
}

// reserve takes the address space for a linear memory.
static void *reserve(struct jail *j, int flags)
{
	char *p = raw_mmap(NULL, LINEAR_RESERVE, PROT_NONE, flags, -1, 0);
	if (p == MAP_FAILED) {
		j->refused = JAIL_REFUSED_KERNEL;
		return p;
	}
	j->linear = p;
	j->linear_end = p + LINEAR_RESERVE;
	return p;
}

// grow makes more of what is reserved memory of the guest's. It maps nothing: where a
// kernel before Linux 6.12 counts what it has promised (vm.overcommit_memory 2), it takes
// away what was mapped before it refuses a mapping, and there would be no guard any more.
static void *grow(struct jail *j, void *at, size_t size, int prot)
{
	int err = ENOMEM;
	if (jail_charge_memory(j, size)) {
		if (syscall(SYS_mprotect, at, size, prot) == 0)
			return at;
		err = errno;
		jail_uncharge_memory(j, size);
		// A seccomp profile may forbid it, and then it is not that there is none.
		if (err == ENOMEM || !guest_may_run(j))
			j->refused = JAIL_REFUSED_KERNEL;
	}
	if (!guest_may_run(j)) {
		// The engine forgets what it has reserved.
		syscall(SYS_munmap, j->linear, LINEAR_RESERVE);
		j->linear = j->linear_end = NULL;
	}
	errno = err;
	return MAP_FAILED;
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct jail *j = jail_self;
	if (j == NULL)
		return raw_mmap(at, size, prot, flags, fd, offset);
	if (at == NULL && prot == PROT_NONE && size == LINEAR_RESERVE)
		return reserve(j, flags);
	bool fixed = (flags & MAP_FIXED) != 0;
	const char *from = at;
	if (fixed && from >= j->linear && from < j->linear_end)
		return grow(j, at, size, prot);
	if (fixed && (prot & PROT_WRITE) != 0) {
		errno = ENOMEM; // what is not counted
		return MAP_FAILED;
	}
	return raw_mmap(at, size, prot, flags, fd, offset);
}

int mprotect(void *at, size_t size, int prot)
{
	int err = (int)syscall(SYS_mprotect, at, size, prot);
	if (err == 0 && (prot & PROT_EXEC) != 0)
		jail_code_add(at, size);
	return err;
}

int munmap(void *at, size_t size)
{
	jail_code_remove(at, size);
	return (int)syscall(SYS_munmap, at, size);
}

// bounded keeps a guest's RLIMIT_NOFILE: the kernel gives the lowest number that
// is free, so the number tells how many there are.
static int bounded(long fd)
{
	struct jail *j = jail_self;
	if (j != NULL && guest_may_run(j) && fd >= j->spec->max_files) {
		syscall(SYS_close, fd);
		errno = EMFILE;
		return -1;
	}
	if (fd < 0 && j != NULL)
		errno = jail_wasi_errno(errno);
	return (int)fd;
}

// faccessat: the engine asks so whether the guest may search a directory. Its thread's
// real user id is nobody's (isolate.c), and by that libc's function would ask.
int faccessat(int dir, const char *path, int mode, int flags)
{
	int by = jail_self != NULL ? AT_EACCESS : 0;
	int err = (int)syscall(SYS_faccessat2, dir, path, mode, flags | by);
	// A seccomp profile may be older than the call.
	if (err != 0 && (errno == ENOSYS || errno == EPERM) && flags == 0)
		err = (int)syscall(SYS_faccessat, dir, path, mode);
	return err;
}

static mode_t mode_of(int flags, va_list args)
{
	return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return bounded(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return bounded(syscall(SYS_openat, dir, path, flags, mode));
}

int dup(int fd)
{
	return bounded(syscall(SYS_dup, fd));
}

int socket(int domain, int type, int protocol)
{
	return bounded(syscall(SYS_socket, domain, type, protocol));
}

// again says whether a call that failed was interrupted by a pause: then it is made once
// more, after that, as the guest has seen nothing of it. For Go's runtime, and for many
// programs, such a failure would be the end.
static bool again(void)
{
	struct jail *j = jail_self;
	if (j == NULL || errno != EINTR)
		return false;
	jail_park(j, PARKED_IN_CALL);
	errno = EINTR;
	return !j->killed && !j->fault;
}

// repeated makes a call on fd as often as pauses interrupt it.
static long repeated(long number, int fd, const void *what, uintptr_t last)
{
	long n;
	do
		n = syscall(number, fd, what, last);
	while (n < 0 && again());
	if (n < 0 && jail_self != NULL)
		errno = jail_wasi_errno(errno);
	return n;
}

int accept(int fd, struct sockaddr *restrict address, socklen_t *restrict length)
{
	return bounded(repeated(SYS_accept, fd, address, (uintptr_t)length));
}

// connect: the second call waits for the connection that the first one has begun.
int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	return (int)repeated(SYS_connect, fd, address, length);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return repeated(SYS_sendmsg, fd, message, (uintptr_t)flags);
}

ssize_t readv(int fd, const struct iovec *list, int n_list)
{
	return repeated(SYS_readv, fd, list, (uintptr_t)n_list);
}

ssize_t writev(int fd, const struct iovec *list, int n_list)
{
	return repeated(SYS_writev, fd, list, (uintptr_t)n_list);
}

int epoll_create1(int flags)
{
	return bounded(syscall(SYS_epoll_create1, flags));
}

int timerfd_create(int clock, int flags)
{
	// poll_oneoff makes one for each of its subscriptions, a million at most.
	if (jail_self != NULL && jail_self->killed) {
		errno = EINTR;
		return -1;
	}
	return bounded(syscall(SYS_timerfd_create, clock, flags));
}

static DIR *(*_Atomic real_fdopendir)(int);
static int (*_Atomic real_closedir)(DIR *);

static int close_real(DIR *dir)
{
	if (real_closedir == NULL)
		real_closedir = (int (*)(DIR *))dlsym(RTLD_NEXT, "closedir");
	return real_closedir(dir);
}

// fdopendir: the engine keeps a directory's buffer, 32 KiB to a MiB (glibc), from the first
// time that it is read until it is closed. So it counts as the guest's memory. One that is
// closed late (janitor.c) gives it back there.
DIR *fdopendir(int fd)
{
	struct jail *j = jail_self;
	if (real_fdopendir == NULL)
		real_fdopendir = (DIR * (*)(int)) dlsym(RTLD_NEXT, "fdopendir");
	DIR *dir = real_fdopendir(fd);
	if (dir == NULL || j == NULL || jail_charge_memory(j, malloc_usable_size(dir)))
		return dir;
	close_real(dir); // and fd, which the engine then closes in vain
	errno = ENOMEM;
	return NULL;
}

int closedir(DIR *dir)
{
	if (jail_self != NULL)
		jail_uncharge_memory(jail_self, malloc_usable_size(dir));
	return close_real(dir);
}

// getsockopt: the engine writes the error that a socket has without asking whether
// there is room, and its assertion fails if there is not. stealthrocket/net for Go
// gives the number 4 where the engine expects the address of one. So the error is
// written, and has four bytes. For no bytes, the engine takes any address.
int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict size)
{
	int error = 0;
	socklen_t room = sizeof(error);
	if (jail_self == NULL || level != SOL_SOCKET || name != SO_ERROR)
		return (int)syscall(SYS_getsockopt, fd, level, name, value, size);
	int err = (int)syscall(SYS_getsockopt, fd, level, name, &error, &room);
	if (err != 0)
		return err;
	error = jail_wasi_errno(error);
	const char *at = value;
	// With room for it, the engine takes it itself, and not to where the guest says.
	if (*size < room && (at < jail_self->linear || at > jail_self->linear_end - room)) {
		errno = EFAULT;
		return -1;
	}
	memcpy(value, &error, room); // a trap, where its memory ends
	*size = room;
	return 0;
}

// recvmsg: the engine hands on a sender's port in the order of the network's bytes. All
// its other functions have that of the host, and so what uses them expects it.
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t n = repeated(SYS_recvmsg, fd, message, (uintptr_t)flags);
	struct sockaddr_in *from = message->msg_name; // of IPv6, the port has the same place
	if (n >= 0 && jail_self != NULL && from != NULL &&
		(from->sin_family == AF_INET || from->sin_family == AF_INET6))
		from->sin_port = ntohs(from->sin_port);
	return n;
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// epoll_wait: a guest that was paused and resumed waits on, for the rest of its time.
int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	int64_t end = jail_self != NULL && timeout > 0 ? now_ms() + timeout : 0;
	for (;;) {
		int got = (int)syscall(SYS_epoll_pwait, fd, events, n, timeout, NULL, 8);
		if (got >= 0 || !again())
			return got;
		if (timeout > 0) {
			int64_t left = end - now_ms();
			timeout = left > 0 ? (int)left : 0;
		}
	}
}

// What one host call may take at once. Some make lists as long as the guest says
// (poll_oneoff, paths); a table of a million entries takes half of this to grow.
#define MAX_NEW ((size_t)32 << 20)

// What a host call takes for a while counts if it is large. A guest that is ended in the
// middle of the call loses it: it is remembered, and given back when the guest is deleted.
#define LARGE_NEW ((size_t)64 << 10)

struct jail_large {
	struct jail_large *next;
	void *at;
	size_t size;
};

// remember is for what was charged.
static void remember(struct jail *j, void *at, size_t size)
{
	struct jail_large *l = malloc(sizeof(*l));
	if (l == NULL) {
		jail_uncharge(j, size);
		return;
	}
	*l = (struct jail_large){j->large, at, size};
	j->large = l;
}

static void forget(const void *at)
{
	if (jail_self == NULL)
		return;
	for (struct jail_large **l = &jail_self->large; *l != NULL; l = &(*l)->next) {
		struct jail_large *found = *l;
		if (found->at != at)
			continue;
		*l = found->next;
		jail_uncharge(jail_self, found->size);
		free(found);
		return;
	}
}

static void *(*_Atomic real_new)(size_t);
static void (*_Atomic real_delete)(void *);

// operator new(size_t)
void *_Znwm(size_t size) // NOLINT(bugprone-reserved-identifier)
{
	struct jail *j = jail_self;
	bool large = size >= LARGE_NEW && j != NULL && guest_may_run(j);
	if (size > MAX_NEW || (large && !jail_charge(j, size)))
		give_up();
	if (real_new == NULL)
		real_new = (void *(*)(size_t))dlsym(RTLD_NEXT, "_Znwm");
	void *p = real_new(size);
	if (large)
		remember(j, p, size);
	return p;
}

// operator delete(void *)
void _ZdlPv(void *p) // NOLINT(bugprone-reserved-identifier)
{
	forget(p);
	if (real_delete == NULL)
		real_delete = (void (*)(void *))dlsym(RTLD_NEXT, "_ZdlPv");
	real_delete(p);
}

// operator delete(void *, size_t)
void _ZdlPvm(void *p, size_t size) // NOLINT(bugprone-reserved-identifier)
{
	(void)size;
	_ZdlPv(p);
}

void jail_delete_lost(struct jail *j)
{
	while (j->large != NULL)
		_ZdlPv(j->large->at);
}

// The engine registers the frames of each module's code. Only a trap has to unwind them
// (trace.c), and once there are any, the unwinder takes a lock, and allocates, for an
// address in code that is new to it. It runs in signal handlers (return.c), which may
// have interrupted malloc: the guest would wait for itself, and all others for it.
void __register_frame(void *frames) // NOLINT(bugprone-reserved-identifier)
{
	jail_code_add_frames(frames);
}

void __deregister_frame(void *frames) // NOLINT(bugprone-reserved-identifier)
{
	(void)frames;
}

// jail_interpose_init makes sure that it is these which libraries find: without
// them, no limit would hold.
const char *jail_interpose_init(void)
{
	static const struct {
		const char *name;
		void (*ours)(void);
	} functions[] = {
		{"mmap", (void (*)(void))mmap},
		{"mprotect", (void (*)(void))mprotect},
		{"munmap", (void (*)(void))munmap},
		{"open", (void (*)(void))open},
		{"openat", (void (*)(void))openat},
		{"faccessat", (void (*)(void))faccessat},
		{"dup", (void (*)(void))dup},
		{"socket", (void (*)(void))socket},
		{"accept", (void (*)(void))accept},
		{"connect", (void (*)(void))connect},
		{"sendmsg", (void (*)(void))sendmsg},
		{"readv", (void (*)(void))readv},
		{"writev", (void (*)(void))writev},
		{"epoll_create1", (void (*)(void))epoll_create1},
		{"epoll_wait", (void (*)(void))epoll_wait},
		{"timerfd_create", (void (*)(void))timerfd_create},
		{"fdopendir", (void (*)(void))fdopendir},
		{"closedir", (void (*)(void))closedir},
		{"getsockopt", (void (*)(void))getsockopt},
		{"recvmsg", (void (*)(void))recvmsg},
		{"_Znwm", (void (*)(void))_Znwm},
		{"_ZdlPv", (void (*)(void))_ZdlPv},
		{"_ZdlPvm", (void (*)(void))_ZdlPvm},
		{"__assert_fail", (void (*)(void))__assert_fail},
		{"abort", abort},
		{"__register_frame", (void (*)(void))__register_frame},
		{"__deregister_frame", (void (*)(void))__deregister_frame},
		{"__longjmp_chk", (void (*)(void))__longjmp_chk},
		{"_Unwind_Find_FDE", (void (*)(void))_Unwind_Find_FDE},
	};
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (dlsym(RTLD_DEFAULT, functions[i].name) != (void *)functions[i].ours)
			return "the engine does not call the program's functions in place of "
			       "libc's: how was it linked?";
	return NULL;
}
