// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"net/netip"
	"slices"
	"strings"
)

// Limits of names (RFC 1035, 2.3.4), without the last dot.
const (
	maxName  = 253
	maxLabel = 63
)

// isName says whether a name may be asked for. Other characters than letters, digits
// and hyphens occur, such as underscores; what is not printable does not.
func isName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

func isLocalhost(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// candidates are the names to ask for, in turn: resolv.conf(5), search and ndots.
func (c *config) candidates(name string) []string {
	if base, rooted := strings.CutSuffix(name, "."); rooted {
		return []string{base}
	}
	var names []string
	for _, domain := range c.search {
		if full := name + "." + domain; isName(full) {
			names = append(names, full)
		}
	}
	if strings.Count(name, ".") >= c.ndots {
		return slices.Insert(names, 0, name)
	}
	return append(names, name)
}

// findInHosts finds a name in the contents of a hosts(5) file: the addresses of all
// lines that have it.
func findInHosts(file []byte, name string, f families) (h host, ok bool) {
	name = strings.TrimSuffix(name, ".")
	for line := range strings.Lines(string(file)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || !slices.ContainsFunc(fields[1:], func(s string) bool { return strings.EqualFold(s, name) }) {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil || addr.Zone() != "" || !f.has(addr) {
			continue
		}
		if h.canonical == "" {
			h.canonical = fields[1]
		}
		if h.addrs = append(h.addrs, addr); len(h.addrs) == MaxAddresses {
			break
		}
	}
	return h, len(h.addrs) > 0
}
