// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Limits of what a resolv.conf may ask for: those of glibc, and of Kubernetes for the
// search list.
const (
	maxServers  = 3
	maxSearch   = 32
	maxNdots    = 15
	maxTimeout  = 30 // seconds
	maxAttempts = 5
)

// config is what counts of a resolv.conf(5).
type config struct {
	servers  []netip.Addr
	search   []string // domains, without their last dots
	ndots    int
	timeout  time.Duration // for one question to one server
	attempts int
	rotate   bool
	tcp      bool // use-vc
}

// parseConfig never fails: what it does not understand does not count, as with libc.
// Without a server there is one on the loopback address.
func parseConfig(file []byte) config {
	c := config{ndots: 1, timeout: 5 * time.Second, attempts: 2}
	for line := range strings.Lines(string(file)) {
		if line[0] == '#' || line[0] == ';' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			c.addServer(fields[1])
		case "domain":
			c.setSearch(fields[1:2])
		case "search":
			c.setSearch(fields[1:])
		case "options":
			for _, o := range fields[1:] {
				c.setOption(o)
			}
		}
	}
	if len(c.servers) == 0 {
		c.servers = loopback[:1]
	}
	return c
}

// addServer: the names of zones are those of another namespace, so there are none.
func (c *config) addServer(s string) {
	addr, err := netip.ParseAddr(s)
	if err == nil && addr.Zone() == "" && len(c.servers) < maxServers {
		c.servers = append(c.servers, addr)
	}
}

// setSearch: the last list counts.
func (c *config) setSearch(domains []string) {
	c.search = nil
	for _, d := range domains {
		if isName(d) && len(c.search) < maxSearch {
			c.search = append(c.search, strings.TrimSuffix(d, "."))
		}
	}
}

func (c *config) setOption(option string) {
	name, value, _ := strings.Cut(option, ":")
	n, err := strconv.Atoi(value)
	number := err == nil && n >= 0
	switch {
	case name == "ndots" && number:
		c.ndots = min(n, maxNdots)
	case name == "timeout" && number:
		c.timeout = time.Duration(min(max(n, 1), maxTimeout)) * time.Second
	case name == "attempts" && number:
		c.attempts = min(max(n, 1), maxAttempts)
	case option == "rotate":
		c.rotate = true
	case option == "use-vc":
		c.tcp = true
	}
}
