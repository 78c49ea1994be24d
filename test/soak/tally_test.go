// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"
)

// tally counts what clients do.
type tally struct {
	t testing.TB

	mu     sync.Mutex
	counts map[string]int
	errors map[string]int
	times  map[string][]time.Duration
}

func newTally(t testing.TB) *tally {
	return &tally{t: t, counts: map[string]int{}, errors: map[string]int{}, times: map[string][]time.Duration{}}
}

func (l *tally) count(action string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[action]++
}

// shown are the errors of one action that are printed.
const shown = 5

func (l *tally) fail(action string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.errors[action]++; l.errors[action] <= shown {
		l.t.Error(err)
	}
}

func (l *tally) took(what string, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times[what] = append(l.times[what], d)
}

func (l *tally) print(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count, failed := 0, 0
	fmt.Fprintln(w, "action\tcount\terrors\t")
	for _, a := range actions {
		fmt.Fprintf(w, "%s\t%d\t%d\t\n", a.name, l.counts[a.name], l.errors[a.name])
		count, failed = count+l.counts[a.name], failed+l.errors[a.name]
	}
	fmt.Fprintf(w, "all\t%d\t%d\t\n\t\t\t\n", count, failed)
	fmt.Fprintln(w, "latency\tcount\tp50\tp99\tlongest\t")
	for _, what := range []string{"start", "start in a pod", "kill"} {
		d := slices.Sorted(slices.Values(l.times[what]))
		if len(d) > 0 {
			round := func(i int) time.Duration { return d[i].Round(10 * time.Microsecond) }
			fmt.Fprintf(w, "%s\t%d\t%v\t%v\t%v\t\n", what, len(d), round(len(d)/2), round(len(d)*99/100), round(len(d)-1))
		}
	}
	fmt.Fprintln(w, "\t\t\t\t\t")
}
