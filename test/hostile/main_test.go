// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

func TestMain(m *testing.M) { os.Exit(daemon.RunTests(m)) }

// network is for the guests that need one.
var network *pods

// metrics is where the daemon that the guests attack listens on TCP.
var metrics = daemon.FreeAddress()

// shared gives up on a module that is made for it sooner than by default.
var shared = daemon.Shared(func(t testing.TB, d *daemon.Daemon) {
	var err error
	if network, err = makePods(filepath.Join(d.Dir, "netns")); err != nil {
		t.Fatal(err)
	}
	// What the first guest makes for good is no leak.
	n := startNeighbour(t, d)
	n.check(t)
	n.end(t)
}, daemon.WithTOML(fmt.Sprintf(`
[plugins.'io.containerd.server.v1.metrics']
address = %q
[plugins.'io.containerd.wasm.v1.engine']
compile_memory = "1GiB"`, metrics)))
