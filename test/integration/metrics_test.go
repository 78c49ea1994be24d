// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// What operators see of guests, on the address where containerd has its metrics.
func TestMetrics(t *testing.T) {
	address := daemon.FreeAddress()
	d := daemon.Start(t, daemon.WithTOML(fmt.Sprintf("[plugins.'io.containerd.server.v1.metrics']\naddress = %q", address)))
	for _, name := range []string{"exit", "trap", "mem", "spin"} {
		d.Import(t, images.Wasm(name))
	}
	for _, args := range [][]string{{"exit"}, {"trap"}, {"mem", "--memory-limit", "16777216"}} {
		run := append(d.RunArgs(args[1:]...), images.Wasm(args[0]).Ref, newID(), "/"+args[0]+".wasm", "die")
		d.Ctr(t, run...)
	}
	d.Ctr(t, append(d.RunArgs(), images.Wasm("exit").Ref, newID(), "/nothing.wasm")...)
	b := start(t, d, job{image: "spin"})
	text := scrape(t, address)
	for name, want := range map[string]float64{
		`containerd_wasm_guests`:                                     1,
		`containerd_wasm_starts_total{result="ok"}`:                  4,
		`containerd_wasm_starts_total{result="not found"}`:           1,
		`containerd_wasm_ends_total{how="trapped"}`:                  1,
		`containerd_wasm_ends_total{how="out of memory"}`:            1,
		`containerd_wasm_traps_total{kind="unreachable"}`:            1,
		`containerd_wasm_start_stage_seconds_count{stage="isolate"}`: 4,
	} {
		if got := value(t, text, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if used, limit := value(t, text, "containerd_wasm_memory_used_bytes"), value(t, text, "containerd_wasm_memory_limit_bytes"); used <= 0 || limit <= used {
		t.Errorf("guests take %v of %v bytes", used, limit)
	}
	var starts float64
	for _, found := range []string{"memory", "store", "nowhere"} {
		starts += value(t, text, fmt.Sprintf("containerd_wasm_module_lookups_total{found=%q}", found))
	}
	if modules := value(t, text, "containerd_wasm_modules"); starts < 4 || modules < 4 {
		t.Errorf("%v starts asked for modules, of which %v are loaded", starts, modules)
	}
	if err := b.Task.Kill(b.Ctx, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := value(t, scrape(t, address), "containerd_wasm_kill_seconds_count"); got != 1 {
		t.Errorf("%v kills", got)
	}
}

func scrape(t *testing.T, address string) string {
	t.Helper()
	r, err := http.Get("http://" + address + "/v1/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// value is that of a metric in Prometheus' text format.
func value(t *testing.T, text, name string) float64 {
	t.Helper()
	m := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(name) + " (.+)$").FindStringSubmatch(text)
	if m == nil {
		t.Errorf("no metric %s", name)
		return 0
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Error(err)
	}
	return v
}

// A kill takes as long as the guest does, and not as long as somebody may take to read
// what it has left.
func TestKillsOfGuestsThatNobodyReads(t *testing.T) {
	address := daemon.FreeAddress()
	d := daemon.Start(t, daemon.WithTOML(fmt.Sprintf("[plugins.'io.containerd.server.v1.metrics']\naddress = %q", address)))
	ref := importModule(t, d, fromSource(t, "flood.wat"))
	const kills = 5
	for range kills {
		c, err := d.NewContainer(t.Context(), daemon.Job{Image: ref, Unread: true})
		if err != nil {
			t.Fatal(err)
		}
		b := &box{c}
		defer b.remove(t)
		if err := b.CreateTask(); err != nil {
			t.Fatal(err)
		}
		if err := b.Task.Start(b.Ctx); err != nil {
			t.Fatal(err)
		}
		waitUntilBusy()
		b.kill(t, unix.SIGKILL)
		if code := b.wait(t); code != 137 {
			t.Errorf("exit code %d", code)
		}
	}
	text := scrape(t, address)
	if n := value(t, text, "containerd_wasm_kill_seconds_count"); n != kills {
		t.Errorf("%v kills", n)
	}
	if n := value(t, text, `containerd_wasm_kill_seconds_bucket{le="0.1"}`); n == 0 {
		t.Errorf("no kill of %d took less than 100 ms", kills)
	}
}
