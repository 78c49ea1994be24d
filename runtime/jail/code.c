// SPDX-License-Identifier: Apache-2.0

// Tells guest code from all other code.

#include "arch.h"
#include "internal.h"

#include <link.h>
#include <stddef.h>
#include <stdlib.h>

// Executable segments of every object in the process. Guest code is what is
// executable and not here. Nothing is loaded later: no guest reaches the
// resolver, which could load modules (wasi.c, isolate.c), and none may map
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

// The native code of modules, as the engine makes it executable (interpose.c), and the
// tables by which it is unwound. A signal handler reads the list while others change it:
// an entry of a module that has a guest does not change, but the reader comes upon others
// that do. Each goes from free to taken, and back, by its end alone; its start changes only
// while it is free, after uses has. So an end that is not 0, and the start that is read
// after it, belong together if uses is the same before and after.
#define MAX_CODES 8192
static struct code {
	_Atomic uintptr_t start, end;  // end 0: free, whatever start is
	_Atomic unsigned uses;         // how often it was taken
	const uint8_t *_Atomic frames; // .eh_frame, or NULL
} codes[MAX_CODES];
static _Atomic size_t n_codes;
static pthread_mutex_t codes_lock = PTHREAD_MUTEX_INITIALIZER;

// The engine registers the frames of a module just after it has made its code executable,
// on the same thread.
static __thread struct code *latest;

void jail_code_add(const void *at, size_t size)
{
	latest = NULL;
	pthread_mutex_lock(&codes_lock);
	size_t i = 0;
	while (i < n_codes && codes[i].end != 0)
		i++;
	if (i < MAX_CODES) { // else its guests are stepped (stop.c)
		codes[i].uses++;
		codes[i].frames = NULL;
		codes[i].start = (uintptr_t)at;
		codes[i].end = (uintptr_t)at + size;
		if (i == n_codes)
			n_codes++;
		latest = &codes[i];
	}
	pthread_mutex_unlock(&codes_lock);
}

void jail_code_add_frames(const void *frames)
{
	if (latest != NULL)
		latest->frames = frames;
	latest = NULL;
}

static bool begins_in(const struct code *c, uintptr_t from, uintptr_t to)
{
	return c->end != 0 && c->start >= from && c->start < to;
}

// jail_code_remove: the engine gives back code and what belongs to it as a whole.
void jail_code_remove(const void *at, size_t size)
{
	uintptr_t from = (uintptr_t)at, to = from + size;
	for (size_t i = 0; i < n_codes; i++) {
		if (!begins_in(&codes[i], from, to))
			continue;
		pthread_mutex_lock(&codes_lock);
		if (begins_in(&codes[i], from, to)) // not another one by now
			codes[i].end = 0;
		pthread_mutex_unlock(&codes_lock);
	}
}

static const struct code *find_code(uintptr_t pc)
{
	for (size_t i = 0; i < n_codes; i++) {
		struct code *c = &codes[i];
		unsigned uses = c->uses;
		if (pc < c->end && pc >= c->start && c->uses == uses)
			return c;
	}
	return NULL;
}

bool jail_is_module_code(uintptr_t pc)
{
	return find_code(pc) != NULL;
}

const void *jail_code_offset(uintptr_t pc, uint64_t *offset)
{
	const struct code *c = find_code(pc);
	if (c != NULL)
		*offset = pc - c->start;
	return c;
}

// An entry of .eh_frame: of a function (FDE), or of what several of them have in common
// (CIE). As LLVM writes them for this kind of code: addresses are relative to where they
// are, and have four bytes ("zR", DW_EH_PE_pcrel | DW_EH_PE_sdata4).
struct entry {
	uint32_t length; // of what follows; 0: the last one
	uint32_t cie;    // how far before this field that is; 0: it is one itself
	int32_t start;
	uint32_t size;
};

// is_known: after its length and the zero, version 1 and augmentation "zR", and after four
// numbers of a byte each, of which one is the size of the fifth, how addresses are encoded.
static bool is_known(const uint8_t *cie)
{
	static const uint8_t head[] = {1, 'z', 'R', 0}, encoding = 0x1b;
	return memcmp(cie + 8, head, sizeof(head)) == 0 && cie[8 + sizeof(head) + 4] == encoding;
}

// A module that has its tables behind its code has none: where they end is not known.
bool jail_code_find(uintptr_t pc, struct jail_function *function, size_t *budget)
{
	const struct code *c = find_code(pc);
	if (c == NULL || c->frames == NULL)
		return false;
	// NOLINTNEXTLINE(performance-no-int-to-ptr)
	const uint8_t *first = c->frames, *at = first, *end = (const uint8_t *)c->start;
	struct entry e;
	for (; at < end && (size_t)(end - at) > sizeof(e) && *budget > 0; --*budget) {
		memcpy(&e, at, sizeof(e));
		const uint8_t *body = at + sizeof(e.length);
		if (e.length == 0 || e.length > (size_t)(end - body))
			return false;
		uintptr_t start =
			(uintptr_t)at + offsetof(struct entry, start) + (uintptr_t)e.start;
		if (e.cie != 0 && pc - start < e.size) {
			*function = (struct jail_function){start, start + e.size, at};
			return e.cie <= (size_t)(body - first) && is_known(body - e.cie);
		}
		at = body + e.length;
	}
	return false;
}
