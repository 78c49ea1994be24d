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

bool jail_is_guest_code(uintptr_t pc)
{
	for (size_t i = 0; i < n_texts; i++)
		if (pc >= texts[i].start && pc < texts[i].end)
			return false;
	return true;
}

bool jail_in_guest_code(const void *context)
{
	return jail_is_guest_code(context_pc(context));
}
