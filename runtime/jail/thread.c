// SPDX-License-Identifier: Apache-2.0

// The life of a guest thread: its stacks, its phases, its end.

#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

// Compiled guest code does not probe its stack: a function with many locals
// may touch memory one whole frame below the last page. The engine bounds
// locals and function sizes so that no frame is larger than this guard, which
// costs address space only.
#define GUARD_SIZE ((size_t)1 << 30)
// Enough for any host call made with the guest's stack at its end.
#define RESERVE_SIZE ((size_t)256 << 10)
// A parked thread runs no guest.
#define PARKED_STACK ((size_t)64 << 10)
// What of a stack is there from the beginning, and charged with the thread
// (threadBytes in package runtime): enough for isolating it and for most guests, which
// take 24 KiB. The rest is opened, and charged, by the fault at its end.
#define FIRST_STACK ((size_t)64 << 10)
#define STACK_STEP ((uintptr_t)64 << 10)

int jail_fail(struct jail *j, const char *step, const char *path)
{
	int err = errno;
	j->result.ending = JAIL_END_SETUP;
	j->result.err = err;
	const char *quote = path != NULL ? "\"" : "";
	snprintf(j->result.message, sizeof(j->result.message), "%s%s%s%s%s: %s", step,
		path != NULL ? " " : "", quote, path != NULL ? path : "", quote, strerror(err));
	return -1;
}

// A signal frame holds the whole register file, 12 KB on machines with AMX,
// and up to three nest: a fault, a kill, a step.
static size_t sigstack_size(void)
{
	size_t frame = getauxval(AT_MINSIGSTKSZ);
	if (frame < (size_t)MINSIGSTKSZ)
		frame = MINSIGSTKSZ;
	return (4 * frame + (32 << 10) + 4095) & ~(size_t)4095;
}

// jail_stack_size is in whole pages.
size_t jail_stack_size(size_t bytes)
{
	return (bytes + 4095) & ~(size_t)4095;
}

static size_t stack_size(const struct jail_spec *spec)
{
	return spec->module == NULL ? PARKED_STACK : jail_stack_size(spec->stack_size);
}

static size_t region_size(const struct jail *j)
{
	return 4096 + sigstack_size() + GUARD_SIZE + j->stack_size;
}

// [page that guards the signal stack][signal stack][guard][stack: closed, open]
static int map_stack(struct jail *j)
{
	size_t sig = sigstack_size(), stack = j->stack_size;
	size_t first = stack < FIRST_STACK ? stack : FIRST_STACK;
	j->region = mmap(NULL, region_size(j), PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (j->region == MAP_FAILED)
		return -1;
	j->guard = j->region + 4096 + sig;
	j->stack = j->guard + GUARD_SIZE;
	j->low = j->stack + stack - first;
	if (mprotect(j->region + 4096, sig, PROT_READ | PROT_WRITE) == 0 &&
		mprotect(j->low, first, PROT_READ | PROT_WRITE) == 0)
		return 0;
	munmap(j->region, region_size(j));
	return -1;
}

static bool open_stack(struct jail *j, char *low)
{
	if (mprotect(low, (size_t)(j->low - low), PROT_READ | PROT_WRITE) != 0)
		return false;
	j->low = low;
	return true;
}

// jail_grow_stack opens the stack down to an address, and some more, if that is
// part of it, and if the budget allows. It is not asked where no guest code runs that
// could be ended: a fault there stops the daemon. Nothing below an address that was used
// is ever passed to the kernel, which would not take this way: the return address of
// every call lies below what its caller has on the stack.
bool jail_grow_stack(struct jail *j, const char *to)
{
	if (to < j->stack || to >= j->low)
		return false;
	char *low = j->low - ((uintptr_t)(j->low - to) / STACK_STEP + 1) * STACK_STEP;
	if (low < j->stack)
		low = j->stack;
	uint64_t bytes = (uint64_t)(j->low - low);
	if (!guest_may_run(j))
		jail_charge_anyway(j, bytes);
	else if (!jail_charge_stack(j, bytes))
		return false;
	return open_stack(j, low);
}

// jail_open_reserve makes room below the stack for the host call that is running.
bool jail_open_reserve(struct jail *j, const char *to)
{
	char *low = j->low - RESERVE_SIZE;
	if (to < low || !open_stack(j, low))
		return false;
	jail_charge_anyway(j, RESERVE_SIZE);
	return true;
}

static int set_sigstack(struct jail *j)
{
	stack_t stack = {.ss_sp = j->region + 4096, .ss_size = sigstack_size()};
	if (sigaltstack(&stack, NULL) != 0)
		return jail_fail(j, "set the signal stack", NULL);
	return 0;
}

static void wait_for_start(struct jail *j)
{
	while (!j->start)
		jail_futex_wait(&j->start, 0);
}

// warm_up is what all guests' threads begin with: it needs no work order.
static int warm_up(struct jail *j)
{
	if (set_sigstack(j) != 0 || jail_own_state(j) != 0)
		return -1;
	return j->stack_size == PARKED_STACK ? 0 : jail_wasm_create(j);
}

// run_guest: the caller learns that the thread is isolated while that goes on. Before
// the guest's code there is the start, and all that may fail is told by that.
static void run_guest(struct jail *j)
{
	jail_wasm_open(j);
	if (jail_drop_privileges(j) != 0 || jail_apply_apparmor(j) != 0)
		return;
	j->phase = PHASE_CREATED;
	jail_post(j, JAIL_EV_CREATED);
	j->ready = jail_wasm_prepay(j) && jail_seccomp_profile(j) == 0 && jail_wasm_instantiate(j);
	// One of the two sees what the other one has set: this, or jail_start.
	if (j->ready && j->start)
		jail_post(j, JAIL_EV_READY);
	wait_for_start(j);
	if (j->killed)
		j->result.ending = JAIL_END_KILLED;
	else if (j->ready)
		jail_wasm_run(j);
}

static void park(struct jail *j)
{
	if (jail_drop_privileges(j) != 0)
		return;
	j->phase = PHASE_CREATED;
	jail_post(j, JAIL_EV_CREATED);
	wait_for_start(j);
	j->result.ending = JAIL_END_KILLED;
}

static void serve(struct jail *j)
{
	if (jail_isolate(j) != 0)
		return;
	if (j->spec->module != NULL)
		run_guest(j);
	else
		park(j);
}

void *jail_thread_main(void *arg)
{
	struct jail *j = arg;
	j->tid = (int)syscall(SYS_gettid);
	jail_self = j;
	bool warm = warm_up(j) == 0;
	if (!j->ordered) {
		prctl(PR_SET_NAME, "wasm-spare", 0, 0, 0);
		jail_offer_spare(j, false);
		while (!j->ordered)
			jail_futex_wait(&j->ordered, 0);
	}
	prctl(PR_SET_NAME, j->spec->module != NULL ? "wasm-guest" : "wasm-pod", 0, 0, 0);
	if (warm)
		serve(j);
	j->phase = PHASE_DONE;
	// fds 0 to 2 the engine never closes, and they are open until the end is known: who
	// reads them may learn of it by that.
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
	// From here on no signal may find this thread: its stacks go away.
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, JAIL_SIGKILL);
	sigaddset(&set, JAIL_SIGPAUSE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	struct timespec cpu;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	j->result.cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
	j->result.memory = j->memory;
	j->result.refused = j->refused;
	jail_owe(j);
	jail_post(j, JAIL_EV_EXITED);
	return NULL;
}

struct jail *jail_new(size_t stack)
{
	struct jail *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return NULL;
	j->stack_size = stack;
	if (map_stack(j) == 0)
		return j;
	free(j);
	return NULL;
}

void jail_delete(struct jail *j)
{
	jail_self = j; // operator delete is to know whose that is (interpose.c)
	jail_wasm_delete(j);
	jail_delete_lost(j);
	jail_self = NULL;
	munmap(j->region, region_size(j));
	jail_repay(j);
	jail_leave_limit(j);
	free(j->description);
	free(j);
}

// charge is all that a guest is charged before it runs. It returns an error number.
static int charge(struct jail *j, const struct jail_spec *spec, struct jail *beside)
{
	if (!jail_share_limit(j, spec->memory_limit, beside))
		return ENOMEM;
	return jail_charge_overhead(j, spec->overhead);
}

// give_up is for a guest that cannot be charged; a spare thread is as it was.
static struct jail *give_up(struct jail *j, bool spare, int err)
{
	jail_leave_limit(j);
	j->refused = JAIL_REFUSED_NOTHING;
	if (spare)
		jail_offer_spare(j, true);
	else
		jail_free(j);
	errno = err;
	return NULL;
}

struct jail *jail_create(uint64_t id, const struct jail_spec *spec, struct jail *beside)
{
	struct jail *spare = spec->module != NULL ? jail_take_spare(stack_size(spec)) : NULL;
	struct jail *j = spare != NULL ? spare : jail_new(stack_size(spec));
	if (j == NULL)
		return NULL;
	int err = charge(j, spec, beside);
	if (err != 0)
		return give_up(j, spare != NULL, err);
	j->id = id;
	j->spec = spec;
	j->ordered = 1;
	if (spare != NULL)
		jail_futex_wake(&j->ordered);
	else
		jail_spawn(j);
	return j;
}

int jail_start(struct jail *j)
{
	j->start = 1;
	jail_futex_wake(&j->start);
	return j->ready;
}

int jail_tid(const struct jail *j)
{
	return j->tid;
}

// The phase changes before the number can become another thread's.
int jail_is_there(const struct jail *j)
{
	return j->phase == PHASE_CREATED || j->phase == PHASE_GUEST;
}

void jail_copy_result(const struct jail *j, struct jail_result *out)
{
	*out = j->result;
}
