// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// cpuFields are the lines of /proc/cpuinfo that say which instructions the
// compiler may choose, on x86 and on Arm.
var cpuFields = []string{
	"vendor_id", "cpu family", "model", "model name", "stepping", "flags",
	"CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features",
	"isa", "uarch",
}

// cpuModel describes the first CPU, including its features.
func cpuModel() (string, error) {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", fmt.Errorf("cannot tell the CPU's features: %w", err)
	}
	first, _, _ := strings.Cut(string(b), "\n\n")
	var model []string
	for line := range strings.Lines(first) {
		name, value, _ := strings.Cut(line, ":")
		if slices.Contains(cpuFields, strings.TrimSpace(name)) {
			model = append(model, strings.TrimSpace(value))
		}
	}
	if len(model) == 0 {
		return "", errors.New("cannot tell the CPU's features: /proc/cpuinfo does not name them")
	}
	return strings.Join(model, "\n"), nil
}
