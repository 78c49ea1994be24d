// SPDX-License-Identifier: Apache-2.0

package engine

import "slices"

// lines are tickets that wait. Each tenant has a line, first come, first served, and the
// tenants take turns: whoever wants many modules compiled keeps others waiting for one
// at a time.
type lines struct {
	turns []string // of whom there are tickets, the next one first
	of    map[string][]*ticket
	n     int // tickets
}

// add puts a ticket into a tenant's line. It may be in those of others already.
func (l *lines) add(tenant string, t *ticket) {
	if slices.Contains(t.tenants, tenant) {
		return
	}
	if len(t.tenants) == 0 {
		l.n++
	}
	if l.of == nil {
		l.of = map[string][]*ticket{}
	}
	if len(l.of[tenant]) == 0 {
		l.turns = append(l.turns, tenant)
	}
	l.of[tenant] = append(l.of[tenant], t)
	t.tenants = append(t.tenants, tenant)
}

// next takes out the ticket whose turn it is.
func (l *lines) next() *ticket {
	tenant := l.turns[0]
	l.turns = append(l.turns[1:], tenant)
	t := l.of[tenant][0]
	l.remove(t)
	return t
}

// remove takes a ticket out of all lines, if it is in any.
func (l *lines) remove(t *ticket) {
	if len(t.tenants) == 0 {
		return
	}
	l.n--
	for _, tenant := range t.tenants {
		l.of[tenant] = slices.DeleteFunc(l.of[tenant], func(o *ticket) bool { return o == t })
		if len(l.of[tenant]) == 0 {
			delete(l.of, tenant)
			l.turns = slices.DeleteFunc(l.turns, func(o string) bool { return o == tenant })
		}
	}
	t.tenants = nil
}
