// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"encoding/hex"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd-wasm/containerd-wasm/snapshotter"
)

// binfmtDir is where binfmt_misc is on nodes that have it mounted.
const binfmtDir = "/proc/sys/fs/binfmt_misc"

// moduleHeader begins every core module.
const moduleHeader = snapshotter.ModuleMagic + "\x01\x00\x00\x00"

// hasInterpreter says whether the kernel has an interpreter for modules with that name:
// an entry of binfmt_misc, in dir, which makes them programs like any other.
func hasInterpreter(dir, name string) bool {
	if all, err := os.ReadFile(filepath.Join(dir, "status")); err != nil || strings.TrimSpace(string(all)) != "enabled" {
		return false // it is not mounted, or switched off
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		// "register" cannot be read.
		if entry, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil && interpretsModules(string(entry), name) {
			return true
		}
	}
	return false
}

// interpretsModules reads an entry as the kernel shows it (binfmt-misc.rst): the word
// "enabled", and lines of a key and a value.
func interpretsModules(entry, name string) bool {
	enabled := false
	fields := make(map[string]string)
	for line := range strings.Lines(entry) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		fields[key] = value
		enabled = enabled || key == "enabled"
	}
	if extension := fields["extension"]; extension != "" {
		return enabled && path.Ext(name) == extension
	}
	offset, err := strconv.ParseUint(fields["offset"], 10, 8)
	magic, errMagic := hex.DecodeString(fields["magic"])
	mask, errMask := hex.DecodeString(fields["mask"])
	if !enabled || err != nil || errMagic != nil || errMask != nil || len(magic) == 0 || int(offset)+len(magic) > len(moduleHeader) {
		return false
	}
	for i, b := range magic {
		differs := moduleHeader[int(offset)+i] ^ b
		if i < len(mask) {
			differs &= mask[i]
		}
		if differs != 0 {
			return false
		}
	}
	return true
}
