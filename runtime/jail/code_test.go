// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// A program of its own: only the list, in the middle of whose changes signals come.
func TestCodeThatComesAndGoes(t *testing.T) {
	program := filepath.Join(t.TempDir(), "codes")
	if out, err := exec.Command("cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-pthread", "-o", program, "testdata/codes.c").CombinedOutput(); err != nil {
		t.Fatalf("cc: %v: %s", err, out)
	}
	if out, err := exec.Command(program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
