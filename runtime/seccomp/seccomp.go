// SPDX-License-Identifier: Apache-2.0

// Package seccomp compiles the seccomp profile of an OCI spec to a filter for
// the thread of one guest.
//
// A profile means what it means to runc, with these differences, all of which
// come from the guest being a thread of the daemon:
//
//   - Actions that kill become SECCOMP_RET_TRAP: the signal's handler ends the
//     guest, while the kernel would end the daemon, or a thread that holds locks.
//   - The calls that a thread of the engine takes to go on and to end are always
//     allowed (engine.go).
//   - Nobody traces and nobody is notified: SCMP_ACT_TRACE answers ENOSYS, as the
//     kernel does without a tracer, and SCMP_ACT_NOTIFY is refused.
//   - An errno of 0 is refused. The engine would take a call that did nothing for
//     a success, and hand the guest memory that the call should have filled. One
//     that WASI has no name for becomes EPERM.
//   - Calls of other architectures are denied, whatever the profile says of them.
//   - Where rules of one call overlap and their actions differ, the strictest
//     counts, as for the kernel with several filters. What libseccomp makes of
//     them depends on its inner order.
//   - Names are known up to Linux 6.15, not up to what libseccomp knows.
package seccomp

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Program is a classic BPF program for PR_SET_SECCOMP: an array of struct
// sock_filter, 8 bytes each, in the host's byte order, and at most BPF_MAXINSNS
// of them. An empty one denies nothing, and the kernel refuses it.
type Program []byte

// Compile returns the program of a profile; nil for no profile. The result is
// shared with other callers, who must not change it.
//
// Errors: InvalidArgument for a profile that is malformed, contradicts itself or
// is too long for a program; NotImplemented for what has no meaning for a guest.
// They name the rule by its index in the profile.
func Compile(profile *specs.LinuxSeccomp) (Program, error) {
	if profile == nil {
		return nil, nil
	}
	return compiled.get(profile)
}

// maxCached bounds the cache. Nodes have one or two profiles; a program is at
// most 32 KiB.
const maxCached = 64

var compiled = cache{entries: make(map[key]*entry)}

// cache keeps the programs of the profiles that came last, by content.
type cache struct {
	mu      sync.Mutex
	entries map[key]*entry
	order   []key // oldest first
}

type key [sha256.Size]byte

type entry struct {
	once    sync.Once
	program Program
	err     error
}

func (c *cache) get(profile *specs.LinuxSeccomp) (Program, error) {
	content, err := json.Marshal(profile)
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	e := c.entry(sha256.Sum256(content))
	e.once.Do(func() { e.program, e.err = compile(profile) })
	return e.program, e.err
}

func (c *cache) entry(k key) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[k]; ok {
		return e
	}
	if len(c.order) == maxCached {
		delete(c.entries, c.order[0])
		c.order = c.order[1:]
	}
	e := &entry{}
	c.entries[k] = e
	c.order = append(c.order, k)
	return e
}
