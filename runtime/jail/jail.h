// SPDX-License-Identifier: Apache-2.0

// The C side of package jail: one pthread per guest, isolated by the kernel,
// never a Go thread. What it is asked to do is plain data (paths, numbers,
// bytes); the only thing it shares with the caller is the loaded module.
//
// Life of a guest thread, and the events that the caller sees:
//
//   SETUP ------------> CREATED -----------> GUEST ------------> DONE
//     |    EV_CREATED      |  instantiated,   ^  |                  EV_EXITED
//     |                    |  and jail_start  |  | jail_pause       ^
//     |                    |                  |  v                  |
//     |                    |                  held (jail_resume)    |
//     +--------------------+-----------------------------------------+
//       set-up failed, or killed, or the module cannot be instantiated:
//       the last is told after jail_start
//
// SETUP may have begun before there was an order (spawn.c).
//
// jail_kill works in every phase, and while the guest is held: before GUEST the
// thread reads a flag, from there on a signal finds it (stop.c).
#pragma once

#include <stddef.h>
#include <stdint.h>

// The export by which the engine names a module's start function.
#define JAIL_START_EXPORT "containerd-wasm.start"

struct jail; // one guest (or one parked sandbox) thread; opaque to the caller

enum jail_event {
	JAIL_EV_CREATED = 1,  // isolated
	JAIL_EV_READY = 2,    // instantiated, later than jail_start asked for
	JAIL_EV_EXITED = 4,   // over; jail_result is complete
	JAIL_EV_LOOKUP = 8,   // asks for addresses: jail_take_query
	JAIL_EV_TRAPPED = 16, // asks in which functions: jail_get_trace, jail_describe
};

enum jail_ending {
	JAIL_END_EXIT = 0,     // returned or called proc_exit: code
	JAIL_END_TRAP = 1,     // trapped: message
	JAIL_END_KILLED = 2,   // ended by jail_kill
	JAIL_END_OVERFLOW = 3, // native call stack exhausted
	JAIL_END_SETUP = 4,    // never became a guest: message, err
	JAIL_END_INIT = 5,     // could not be instantiated: message
	JAIL_END_SYSCALL = 6,  // made a call for which its seccomp profile ends it: message
};

// Why memory was refused to a guest, if that was the last it asked for.
enum jail_refusal {
	JAIL_REFUSED_NOTHING = 0,
	JAIL_REFUSED_LIMIT = 1,  // its own limit
	JAIL_REFUSED_BUDGET = 2, // what all guests may have together
	JAIL_REFUSED_KERNEL = 3, // what the kernel gives, also of address space
};

// A bind mount: source is a host path, target an absolute path in the
// container. Without a source it is an empty tmpfs with these options.
struct jail_mount {
	const char *source; // NULL: a tmpfs
	const char *name;   // of source, for errors
	const char *target;
	uint64_t attr_set;   // MOUNT_ATTR_*, beside the NODEV and NOSUID of every mount
	uint64_t attr_clear; // those that are not as with source
	int recursive;       // with the mounts below source (rbind)
	int attr_recursive;  // attr_set holds for those as well (rro)
	const char *options; // tmpfs only: "key=value" separated by commas
};

// A file to be opened for the guest: the flags of open(2). An empty path
// stands for nothing: a pipe without a writer (stdin) or /dev/null (output).
struct jail_file {
	const char *path;
	int flags;
};

struct jail_sysctl {
	const char *path; // below /proc/sys
	const char *value;
};

// The work order. Every pointer is owned by the caller and stays valid until
// JAIL_EV_EXITED; strings end in NUL, lists in NULL where no length is given.
struct jail_spec {
	const void *module;  // WasmEdge_ASTModuleContext; NULL parks the thread
	const char *entry;   // exported function to call, without parameters; if its result is
			     // an i32, that is the exit code
	const char *init;    // another one, to be called before it, or NULL
	int traced;          // a trap waits for jail_describe
	const char *rootfs;  // host directory; NULL for a parked thread
	const char *mntns;   // mount namespace in which rootfs is entered as it is, mounts
			     // and all, as another guest has it; NULL: it is cloned
	int rootfs_readonly; // for the guest
	int rootfs_sealed;   // for everybody: not even mount points are made
	// Regular file in the container for the last words of a guest that has left none
	// there, or NULL.
	const char *termination;
	struct jail_file stdio[3];
	const char *netns;    // path of a network namespace; NULL: see new_netns
	int new_netns;        // an empty network namespace of its own
	int new_ipc, new_uts; // IPC and UTS namespaces of its own (parked threads)
	const char *hostname; // set in the new UTS namespace
	const struct jail_sysctl *sysctls;
	size_t n_sysctls;
	const struct jail_mount *mounts;
	size_t n_mounts;
	const char *const *args;
	uint32_t n_args;
	const char *const *env;
	uint32_t n_env;
	uint32_t uid, gid;
	const uint32_t *groups;
	size_t n_groups;
	uint64_t caps; // effective and permitted, one bit per CAP_*
	uint32_t umask;
	const char *cgroup;          // file that a thread joins by writing "0", or NULL
	const char *apparmor;        // profile to change to, or NULL
	const void *filter;          // struct sock_filter[n_filter], beside our own (seccomp.c)
	uint16_t n_filter;           // 0: none
	const char *const *masked;   // absolute paths that are to look empty
	const char *const *readonly; // absolute paths that nobody may write below
	uint64_t memory_limit;       // bytes (jail_memory); not for a guest beside another
	uint64_t initial_memory;     // bytes of linear memory that the module starts with
	uint64_t overhead;           // bytes to be charged beside memory and grown stack
	size_t stack_size;           // bytes of native stack for guest code, at most
	int max_files;               // fds are below this number
};

// Where a guest was when it trapped, innermost function first: where these begin, as
// bytes from where the executable part of the module's code is mapped.
#define JAIL_MAX_FRAMES 32

struct jail_trace {
	uint32_t n, more; // more: that are not in frames
	uint32_t frames[JAIL_MAX_FRAMES];
	int cut; // there may be still more
};

struct jail_result {
	int ending;        // enum jail_ending
	uint32_t code;     // exit code (JAIL_END_EXIT)
	int err;           // errno of a failed set-up step, or 0
	int refused;       // enum jail_refusal
	uint64_t memory;   // at the end, in bytes (jail_memory)
	uint64_t cpu_ns;   // CPU time of the thread
	char message[512]; // what failed, or the trap
};

struct jail_bytes {
	char *bytes; // NULL: none
	size_t size, capacity;
};

// What a guest asks (sock_getaddrinfo): strings end in NUL, and are empty where it
// gave none. Nothing in it was looked at. The numbers are those of WASI.
struct jail_query {
	uint32_t number; // of the question
	char node[256];
	char service[64];
	uint16_t flags;
	uint8_t family, socktype, protocol;
	struct jail_bytes resolv_conf, hosts; // contents of the guest's own files
};

#define JAIL_MAX_ADDRESSES 32

enum { JAIL_INET4 = 1, JAIL_INET6 = 2 }; // as in WASI

struct jail_address {
	uint8_t family, socktype, protocol;
	uint16_t port;
	uint32_t scope; // of a link-local address, or 0
	uint8_t bytes[16];
};

struct jail_answer {
	uint16_t err; // errno of WASI, or 0
	char canonical[256];
	uint32_t n;
	struct jail_address addresses[JAIL_MAX_ADDRESSES];
};

// jail_init prepares the process, once: keepalive is a loaded module that
// exports "go" and imports "env"."block"; cgroup is the file by which the thread
// that makes guests joins a group, or NULL. Returns NULL or what failed.
const char *jail_init(const void *keepalive, const char *cgroup);

// jail_set_budget bounds what all guests may have together, in bytes: memory
// (jail_memory), stacks, what each is said to take besides, and what is charged for all
// of them. jail_budget_used is what they have.
void jail_set_budget(uint64_t bytes);

// jail_set_spare_size says what stack threads have that are made ahead; to be called before
// there are any.
void jail_set_spare_size(size_t bytes);
uint64_t jail_budget(void);
uint64_t jail_budget_used(void);
// jail_charge_daemon charges what is no single guest's. It returns -1, and does nothing, if
// there is no room.
int jail_charge_daemon(uint64_t bytes);
void jail_repay_daemon(uint64_t bytes);
// jail_set_spare says how much of that the daemon gives back, piece by piece, as soon as
// others lack it: each time that jail_wait_asked, which is for one caller, returns.
void jail_set_spare(uint64_t bytes);
int jail_wait_asked(void); // 0, since cgo wants some result

// jail_create makes the thread. The answer comes as JAIL_EV_CREATED or
// JAIL_EV_EXITED for id. Returns NULL and sets errno if no thread could be
// made: EDQUOT, the budget is used up; EBUSY, it is for a moment, and another call may end
// better. jail_copy_result and jail_free must follow JAIL_EV_EXITED. beside is a guest,
// not freed yet, whose memory limit is for both together, or NULL.
struct jail *jail_create(uint64_t id, const struct jail_spec *spec, struct jail *beside);
// jail_start lets the guest run. It returns 0 if the guest is not instantiated yet:
// JAIL_EV_READY follows then, or JAIL_EV_EXITED.
int jail_start(struct jail *j);
// jail_kill asks the thread to end. Until JAIL_EV_EXITED it is to be called
// again every few milliseconds: the guest may be in a host call that the first
// signal only interrupted.
void jail_kill(struct jail *j);
// jail_pause keeps the thread from running guest code until jail_resume, and
// says how far that is. Below JAIL_HELD it is to be called again. A host call that
// blocks goes on: the guest does not see its result before it is resumed.
enum jail_hold {
	JAIL_RUNS = 0,   // guest code may still run
	JAIL_CAUGHT = 1, // it is in a host call; the next look may find it in guest code
	JAIL_HELD = 2,   // no guest code runs
};
int jail_pause(struct jail *j);
void jail_resume(struct jail *j);
// jail_signal_test says whether signals reach a guest that waits for its start: 0,
// or an error number. A security module may deny them; nothing else ends guest code.
int jail_signal_test(const struct jail *j);
int jail_tid(const struct jail *j);
// jail_is_there says whether the thread is still the one of jail_tid: what was found
// under that number before is the guest's.
int jail_is_there(const struct jail *j);
// jail_memory returns what a guest has that counts against its limit, in bytes: linear
// memory, and the buffers of directories that it reads.
uint64_t jail_memory(const struct jail *j);
// jail_set_limit changes the limit of memory of a guest and those beside it, in
// bytes. If they have more than that, it does nothing and returns EDQUOT, or EBUSY as
// jail_create does.
int jail_set_limit(struct jail *j, uint64_t bytes);
// jail_take_query, after JAIL_EV_LOOKUP, returns what the guest asks, or NULL if it
// does not any more. That is the guest's, which cannot go on before jail_query_taken.
const struct jail_query *jail_take_query(struct jail *j);
void jail_query_taken(struct jail *j, uint32_t number);
// jail_query_waits says whether the guest still waits for the answer, as it did all the
// time since it asked.
int jail_query_waits(const struct jail *j, uint32_t number);
// jail_answer does nothing if the guest does not wait for it any more.
void jail_answer(struct jail *j, uint32_t number, const struct jail_answer *answer);
// jail_get_trace, after JAIL_EV_TRAPPED, returns where the guest was. It waits, unless it
// is killed, for jail_describe: what to write below the reason.
const struct jail_trace *jail_get_trace(const struct jail *j);
void jail_describe(struct jail *j, const char *text);
// jail_copy_result copies the result, after JAIL_EV_EXITED.
void jail_copy_result(const struct jail *j, struct jail_result *out);
// jail_free has all that is left deleted, later: what it was charged may be charged
// until then, and jail_create waits for that if it matters.
void jail_free(struct jail *j);

// jail_wait_event blocks until a thread has news: its id, and a set of
// jail_event bits as the return value. For one caller at a time.
// more says whether the next call returns at once.
int jail_wait_event(uint64_t *id, int *more);
