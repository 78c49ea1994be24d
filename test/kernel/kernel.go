// SPDX-License-Identifier: Apache-2.0

// Package kernel is what tests of several packages ask of this machine's kernel.
package kernel

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Mappings counts the memory mappings of this process.
func Mappings(t testing.TB) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), "\n")
}

// LoadProfile loads an AppArmor profile with these rules, a line each, and flags, until
// the end of the test. It returns false where AppArmor is not enabled.
func LoadProfile(t testing.TB, name, rules string, flags ...string) bool {
	t.Helper()
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if err != nil || string(enabled) != "Y\n" {
		return false
	}
	if len(flags) > 0 {
		name += " flags=(" + strings.Join(flags, ",") + ")"
	}
	path := filepath.Join(t.TempDir(), "profile")
	if err := os.WriteFile(path, fmt.Appendf(nil, "abi <abi/3.0>,\nprofile %s {\n%s}\n", name, rules), 0o600); err != nil {
		t.Fatal(err)
	}
	parser := func(option string) {
		if out, err := exec.Command("apparmor_parser", "--skip-cache", option, path).CombinedOutput(); err != nil {
			t.Fatalf("apparmor_parser: %v: %s", err, out)
		}
	}
	parser("--add")
	t.Cleanup(func() { parser("--remove") })
	return true
}
