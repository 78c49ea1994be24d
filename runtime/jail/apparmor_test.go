// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/test/kernel"
)

// Rules of profiles. Without any but signals, a guest can open nothing.
const (
	signals    = "signal (receive) peer=unconfined,\n"
	everything = "file,\nnetwork,\ncapability,\n" + signals
)

var profiles atomic.Int32

// withProfile gives a guest a profile of these rules, and flags. Where the kernel has no
// AppArmor it makes sure that such a guest is refused, and returns false.
func withProfile(t *testing.T, s *Spec, rules string, flags ...string) bool {
	t.Helper()
	s.AppArmor = fmt.Sprintf("containerd-wasm-test-%d", profiles.Add(1))
	if kernel.LoadProfile(t, s.AppArmor, rules, flags...) {
		return true
	}
	if _, err := New(t.Context(), s); err == nil || !strings.Contains(err.Error(), s.AppArmor) {
		t.Errorf("without AppArmor: %v", err)
	}
	return false
}

// What a profile says of paths holds for paths as the guest has them.
func TestAppArmorPaths(t *testing.T) {
	const acces = 2
	for _, tc := range []struct {
		name, rules string
		code        uint32
		stdout      string
	}{
		{"everything", everything, 0, "secret"},
		{"all but the secret", everything + "deny /secret/** r,\n", acces, ""},
		{"the secret only", signals + "/secret/file r,\n", 0, "secret"},
		{"the root only", signals + "/ r,\n", acces, ""},
	} {
		for _, mounts := range [][]Mount{nil, {{Target: "/data"}}} {
			t.Run(fmt.Sprintf("%s, %d mounts", tc.name, len(mounts)), func(t *testing.T) {
				s := secret(t, "cat")
				s.Mounts = mounts
				if !withProfile(t, s, tc.rules) {
					return
				}
				out := stdout(t, s)
				if got := runGuest(t, s); got.Ending != Exited || got.Code != tc.code || out() != tc.stdout {
					t.Errorf("ended with %+v, stdout %q", got, out())
				}
			})
		}
	}
}

func TestAppArmorIsOfOneThread(t *testing.T) {
	s := spec(t, "spin")
	if !withProfile(t, s, everything) {
		return
	}
	g := started(t, s)
	tasks, err := filepath.Glob("/proc/self/task/*/attr/apparmor/current")
	if err != nil || len(tasks) < 3 {
		t.Fatalf("threads %q, %v", tasks, err)
	}
	for _, task := range tasks {
		want := "unconfined\n"
		if strings.Contains(task, fmt.Sprintf("/task/%d/", g.TID())) {
			want = s.AppArmor + " (enforce)\n"
		}
		if got, err := os.ReadFile(task); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v, want %q", task, got, err, want)
		}
	}
}

func TestAppArmorDoesNotKeepGuestsFromEnding(t *testing.T) {
	for _, kill := range kills {
		t.Run(kill, func(t *testing.T) {
			s := killSpec(t, kill)
			if !withProfile(t, s, signals) {
				return
			}
			g := started(t, s)
			if err := g.Pause(t.Context()); err == nil {
				resume(t, g)
			} else if !errdefs.IsFailedPrecondition(err) {
				t.Error(err)
			}
			g.Kill()
			select {
			case <-g.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("the guest is still there")
			}
		})
	}
}

func TestAppArmorProfilesWithoutSignals(t *testing.T) {
	for name, rules := range map[string]string{
		"none":        "file,\n",
		"other peers": "file,\nsignal (receive) peer=another,\n",
		"not to end":  "signal (receive) set=(exists, pwr) peer=unconfined,\n",
		"not to hold": "signal (receive) set=(exists, stkflt) peer=unconfined,\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(t, "spin")
			if !withProfile(t, s, rules) {
				return
			}
			_, err := New(t.Context(), s)
			if !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), s.AppArmor) || !strings.Contains(err.Error(), "signal (receive)") {
				t.Errorf("got %v", err)
			}
			guestsMu.Lock()
			defer guestsMu.Unlock()
			if len(guests) != 0 {
				t.Errorf("%d guests are left", len(guests))
			}
		})
	}
}

// In the mode kill, the kernel would end this process for what a guest may not do.
func TestAppArmorProfilesByMode(t *testing.T) {
	for mode, refused := range map[string]bool{"kill": true, "complain": false, "enforce": false} {
		t.Run(mode, func(t *testing.T) {
			s := spec(t, "hello")
			if !withProfile(t, s, signals, mode) {
				return
			}
			if !refused {
				_ = runGuest(t, s)
				return
			}
			_, err := New(t.Context(), s)
			if !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), s.AppArmor) || !strings.Contains(err.Error(), "mode kill") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAppArmorModes(t *testing.T) {
	for label, want := range map[string]bool{
		"a (enforce)\n": false, "a (complain)": false, "unconfined\n": false, "a (unconfined)": false, "kill (enforce)": false, "(kill) (enforce)": false,
		"a (kill)\n": true, "a//&b (mixed)\n": true, "a//&b (kill)": true,
	} {
		if got := killsDaemon([]byte("enforce\n"), []byte(label)); got != want {
			t.Errorf("%q: %t", label, got)
		}
		if !killsDaemon([]byte("kill\n"), []byte(label)) {
			t.Errorf("%q is harmless, though all profiles kill", label)
		}
	}
}

func TestAppArmorProfileThatIsNotLoaded(t *testing.T) {
	s := spec(t, "spin")
	if !withProfile(t, s, everything) {
		return
	}
	s.AppArmor += "-missing"
	if _, err := New(t.Context(), s); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), s.AppArmor) {
		t.Errorf("got %v", err)
	}
}
