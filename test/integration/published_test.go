// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const script = `
import os, sys
print(sys.argv[1:], os.environ["GREETING"], sorted(os.listdir("/data")))
with open("/data/in.txt") as f: print(f.read())
with open("/data/out.txt", "w") as f: f.write(sys.stdin.read().upper())
sys.exit(7)
`

// A program that others built and published runs unmodified. Its compilation takes
// most of the time.
func TestPublishedProgram(t *testing.T) {
	d := shared(t)
	ref := importModule(t, d, published(t))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in.txt"), []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(d.RunArgs("--env", "GREETING=hello", "--mount", bind(dir, "/data", "rw")), ref, newID(), "/main.wasm", "-c", script, "one", "two words")
	out := d.CtrWithInput(t, "from stdin", args...)
	expect(t, out, 7, "['one', 'two words'] hello ['in.txt']\nfrom a file\n")
	if b, err := os.ReadFile(filepath.Join(dir, "out.txt")); err != nil || string(b) != "FROM STDIN" {
		t.Errorf("it wrote %q (%v)", b, err)
	}
}

// published fetches the program, unless it is there already.
func published(t *testing.T) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSpace(string(out))
	if text, err := exec.CommandContext(t.Context(), filepath.Join(root, "scripts/fetch-published.sh")).CombinedOutput(); err != nil {
		t.Fatalf("fetching the program: %v\n%s", err, text)
	}
	module, err := os.ReadFile(filepath.Join(root, ".build/published/python.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return module
}
