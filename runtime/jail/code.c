// SPDX-License-Identifier: Apache-2.0

// Tells guest code from all other code.

#include "arch.h"
#include "internal.h"

#include <link.h>
#include <stdlib.h>

// Executable segments of every object in the process. Guest code is what is
// executable and not here. Nothing is loaded later: no guest reaches the
// resolver, which could load modules (wasm.c, isolate.c), and none may map
// executable pages (seccomp.c).
static struct {
	uintptr_t start, end;
} *texts;
static size_t n_texts;

static int collect_texts(struct dl_phdr_info *info, size_t size, void *err)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		void *grown = realloc(texts, (n_texts + 1) * sizeof(*texts));
		if (grown == NULL) {
			*(const char **)err = "out of memory";
			return 1;
		}
		texts = grown;
		texts[n_texts].start = info->dlpi_addr + ph->p_vaddr;
		texts[n_texts].end = texts[n_texts].start + ph->p_memsz;
		n_texts++;
	}
	return 0;
}

const char *jail_code_init(void)
{
	const char *err = NULL;
	dl_iterate_phdr(collect_texts, &err);
	return err;
}

bool jail_in_guest_code(const void *context)
{
	uintptr_t pc = context_pc(context);
	for (size_t i = 0; i < n_texts; i++)
		if (pc >= texts[i].start && pc < texts[i].end)
			return false;
	return true;
}

// The native code of modules, as the engine makes it executable (interpose.c). A
// signal handler reads the list while others change it: an entry of a module that
// has a guest does not change, and one that is being made is of no use to any.
#define MAX_CODES 8192
static struct {
	_Atomic uintptr_t start, end; // end 0: free
} codes[MAX_CODES];
static _Atomic size_t n_codes;
static pthread_mutex_t codes_lock = PTHREAD_MUTEX_INITIALIZER;

void jail_code_add(const void *at, size_t size)
{
	pthread_mutex_lock(&codes_lock);
	size_t i = 0;
	while (i < n_codes && codes[i].end != 0)
		i++;
	if (i < MAX_CODES) { // else its guests are stepped (stop.c)
		codes[i].start = (uintptr_t)at;
		codes[i].end = (uintptr_t)at + size;
		if (i == n_codes)
			n_codes++;
	}
	pthread_mutex_unlock(&codes_lock);
}

void jail_code_remove(const void *at)
{
	for (size_t i = 0; i < n_codes; i++) {
		if (codes[i].start != (uintptr_t)at)
			continue;
		pthread_mutex_lock(&codes_lock);
		codes[i].end = codes[i].start = 0;
		pthread_mutex_unlock(&codes_lock);
	}
}

bool jail_is_module_code(uintptr_t pc)
{
	for (size_t i = 0; i < n_codes; i++)
		if (pc >= codes[i].start && pc < codes[i].end)
			return true;
	return false;
}
