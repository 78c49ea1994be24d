// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// Modules that stay loaded, which together are more than max_memory, keep nobody from
// starting, and one that does not fit is refused with the key to change.
func TestModulesBeyondMaxMemory(t *testing.T) {
	address := daemon.FreeAddress()
	d := daemon.Start(t, daemon.WithTOML(fmt.Sprintf("[plugins.'io.containerd.server.v1.metrics']\naddress = %q\n"+
		"[plugins.'io.containerd.wasm.v1.runtime']\nmax_memory = '24MiB'", address)))
	run := func(name string, mib int) daemon.Output {
		wat := filepath.Join(t.TempDir(), name+".wat")
		text := fmt.Sprintf(`(module (memory (export "memory") %d) (func (export "_start")) (data (i32.const 0) "%s%s"))`,
			16*mib+1, name, strings.Repeat("x", mib<<20))
		if err := os.WriteFile(wat, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		module, err := images.CompileFile(t.Context(), wat)
		if err != nil {
			t.Fatal(err)
		}
		img, err := images.New(images.Host(), v1.Config{Entrypoint: []string{"/app.wasm"}}, map[string][]byte{"/app.wasm": module})
		if err != nil {
			t.Fatal(err)
		}
		ref := "example.com/" + name + ":latest"
		d.ImportImage(t, ref, img)
		return d.Ctr(t, append(d.RunArgs(), ref, newID())...)
	}
	for i := range 6 {
		if out := run(fmt.Sprintf("module%d", i), 4); out.Code != 0 {
			t.Errorf("module %d: %+v", i, out)
		}
	}
	text := scrape(t, address)
	if used, modules := value(t, text, "containerd_wasm_memory_used_bytes"), value(t, text, "containerd_wasm_module_memory_bytes"); used < modules || modules < 4<<20 || used > 24<<20 {
		t.Errorf("%v bytes are used, %v of them for modules", used, modules)
	}
	if out := run("large", 16); out.Code == 0 || !strings.Contains(out.Stderr, "to be loaded, and guests and their modules take") || !strings.Contains(out.Stderr, "raise max_memory") {
		t.Errorf("a module beyond the budget: %+v", out)
	}
}
