// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// Each child has a user and group of its own, of ids that no container has: Kubernetes
// has those below 1 << 31. The kernel counts a user's threads wherever they are, so
// whoever shared a child's user could keep it from making its own, or end it.
const (
	firstUser = 0xffff0000
	users     = 0x1000
	nobody    = 65534
)

var nextUser atomic.Uint32

// newUser returns the id of the next child's user and group, or nobody's if this process
// is in a user namespace without them.
func newUser() uint32 {
	if !hasUsers() {
		return nobody
	}
	return firstUser + nextUser.Add(1)%users
}

var hasUsers = sync.OnceValue(func() bool {
	for _, kind := range []string{"uid", "gid"} {
		ids, err := os.ReadFile("/proc/self/" + kind + "_map")
		if err != nil || !covers(string(ids), firstUser, users) {
			return false
		}
	}
	return true
})

// covers says whether one line of a map of ids (user_namespaces(7)) has n from first on.
func covers(ids string, first, n uint64) bool {
	for line := range strings.Lines(ids) {
		var inside, outside, length uint64
		if _, err := fmt.Sscan(line, &inside, &outside, &length); err != nil {
			return false
		}
		if inside <= first && first+n <= inside+length {
			return true
		}
	}
	return false
}
