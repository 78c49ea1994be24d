// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// part compiles a program of testdata that is made of one file of this package, for what
// would have to come at a certain moment in the whole, or cannot be looked at in it.
func part(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-pthread", "-o", program, "testdata/"+name+".c").CombinedOutput(); err != nil {
		t.Fatalf("cc: %v: %s", err, out)
	}
	return program
}

func TestParts(t *testing.T) {
	for _, name := range []string{"codes", "janitor"} {
		t.Run(name, func(t *testing.T) {
			if out, err := exec.Command(part(t, name)).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		})
	}
}
