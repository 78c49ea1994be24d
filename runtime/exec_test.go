// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"testing"
	"testing/synctest"

	ptypes "github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

func TestReservedExecs(t *testing.T) { synctest.Test(t, testReservedExecs) }

func testReservedExecs(t *testing.T) {
	var e execs
	if err := e.reserve("a"); err != nil {
		t.Fatal(err)
	}
	if e.get("a") != nil || len(e.list()) != 0 {
		t.Error("one that is being made is there")
	}
	if err := e.reserve("a"); !errdefs.IsAlreadyExists(err) {
		t.Errorf("the same id: %v", err)
	}
	ended := false
	go func() {
		e.end()
		ended = true
	}()
	e.forget("a")
	synctest.Wait()
	if ended {
		t.Error("the end did not wait for one that is being made")
	}
	e.making.Done()
	synctest.Wait()
	if !ended {
		t.Error("the end waits for one that was made")
	}
	if err := e.reserve("b"); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("after the end: %v", err)
	}
}

func TestMalformedProcesses(t *testing.T) {
	url, err := typeurl.TypeURL(&specs.Process{})
	if err != nil {
		t.Fatal(err)
	}
	for name, spec := range map[string]*ptypes.Any{
		"none":          nil,
		"another type":  {TypeUrl: "type.googleapis.com/google.protobuf.Empty"},
		"unknown type":  {TypeUrl: "x", Value: []byte("{}")},
		"no JSON":       {TypeUrl: url, Value: []byte("{")},
		"no arguments":  {TypeUrl: url, Value: []byte(`{"cwd":"/"}`)},
		"no command":    {TypeUrl: url, Value: []byte(`{"args":["","x"]}`)},
		"not a process": {TypeUrl: url, Value: []byte(`{"args":"x"}`)},
	} {
		if p, err := parseProcess(spec); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// Whatever an exec asks for, it has not more than its container.
func FuzzProcess(f *testing.F) {
	url, err := typeurl.TypeURL(&specs.Process{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"args":["/a"],"apparmorProfile":"unconfined","rlimits":[{"type":"RLIMIT_STACK","soft":1000000000,"hard":1000000000}]}`))
	f.Add([]byte(`{"args":["/a"],"rlimits":[{"type":"RLIMIT_NOFILE","soft":1000,"hard":1000}],"capabilities":{"effective":["CAP_DAC_OVERRIDE"]}}`))
	f.Add([]byte(`{"args":["/a"],"terminal":true,"consoleSize":{"height":1,"width":4000000000},"user":{"uid":5},"capabilities":{"ambient":["CAP_CHOWN"]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parseProcess(&ptypes.Any{TypeUrl: url, Value: text})
		if err != nil {
			checkClass(t, err)
			return
		}
		confined := jail.Spec{StackSize: minStack * 2, MaxFiles: 100, Seccomp: []byte("12345678"), AppArmor: "profile"}
		js := confined
		if err := identity(&js, p); err != nil {
			checkClass(t, err)
			return
		}
		if js.StackSize > confined.StackSize || js.AppArmor == "" || !bytes.Equal(js.Seccomp, confined.Seccomp) || js.MaxFiles == 0 || js.MaxFiles > confined.MaxFiles {
			t.Errorf("confined by %+v", js)
		}
		checkUserAndCapabilities(t, &js, &specs.Spec{Process: p})
		checkEnvironment(t, &js, p)
	})
}
