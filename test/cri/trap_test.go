// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/images"
)

const crashImage = "example.com/crash:latest"

// crashing compiles testdata/crash.c as most people build: with the names of functions.
func crashing(t testing.TB) []byte {
	t.Helper()
	return build(t, "clang", "--target=wasm32-wasi", "-g", "-O1", "testdata/crash.c")
}

// withTerminationLog is what a kubelet adds to a container: an empty file that anybody may
// write, mounted at terminationMessagePath, and an annotation with that path. It returns
// how the message is read.
func withTerminationLog(t testing.TB, c *criapi.ContainerConfig, path string) func() string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o666); err != nil { // past the umask
		t.Fatal(err)
	}
	c.Mounts = append(c.Mounts, &criapi.Mount{HostPath: file, ContainerPath: path})
	c.Annotations = map[string]string{
		"io.kubernetes.container.terminationMessagePath":   path,
		"io.kubernetes.container.terminationMessagePolicy": "File",
	}
	return func() string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

// Where a guest was when it trapped is in its log, and in the file that kubelet shows as
// the container's message.
func TestTrapNamesItsFunctions(t *testing.T) {
	d := shared(t)
	img, err := images.New(images.Host(), v1.Config{Entrypoint: []string{"/crash.wasm"}}, map[string][]byte{"/crash.wasm": crashing(t)})
	if err != nil {
		t.Fatal(err)
	}
	d.ImportImage(t, crashImage, img)
	p := wasmPod(t, d, host)
	const called = `  at crash \(func \d+\)\n  at main \(func \d+\)\n(  at \S+ \(func \d+\)\n)+$`
	for how, want := range map[string]string{
		"divide":      `^WebAssembly trap: integer divide by zero\n  at divide \(func \d+\)\n` + called,
		"overrun":     `^WebAssembly trap: out of bounds memory access\n  at overrun \(func \d+\)\n` + called,
		"unreachable": `^WebAssembly trap: unreachable\n  at refuse \(func \d+\)\n` + called,
		"recurse":     `^WebAssembly trap: call stack exhausted\n(  at recurse \(func \d+\)\n)+  \.\.\. at least \d+ more\n$`,
		"message":     `^WebAssembly trap: unreachable\n  at refuse \(func \d+\)\n  at leave_message \(func \d+\)\n` + called,
	} {
		t.Run(how, func(t *testing.T) {
			const path = "/dev/termination-log"
			config := containerConfig(crashImage, how, path)
			config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{RunAsUser: &criapi.Int64Value{Value: 1000}}
			message := withTerminationLog(t, config, path)
			c := p.run(t, config)
			c.expectExit(t, 134, "Error")
			log := c.logs(t, "stderr")
			if !regexp.MustCompile(want).MatchString(log) {
				t.Errorf("the log is\n%s\nwant\n%s", log, want)
			}
			// With FallbackToLogsOnError, kubelet takes that much of a log.
			if len(log) > 2048 || strings.Count(log, "\n") > 80 {
				t.Errorf("the log has %d bytes", len(log))
			}
			own := map[string]string{"message": "out of coffee"}[how]
			if got := message(); own == "" && got != log || own != "" && got != own {
				t.Errorf("the message is\n%s\nthe log\n%s", got, log)
			}
		})
	}
}

// A container that ends in another way has no message but its own.
func TestTerminationMessageOfOtherEnds(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	config := containerConfig("exit", "3")
	message := withTerminationLog(t, config, "/dev/termination-log")
	p.run(t, config).expectExit(t, 3, "Error")
	if got := message(); got != "" {
		t.Errorf("the message is %q", got)
	}
	config = containerConfig("spin")
	message = withTerminationLog(t, config, "/messages/last")
	c := p.run(t, config)
	c.stop(t, 0)
	c.expectExit(t, 137, "Error")
	if got := message(); got != "" {
		t.Errorf("the message is %q", got)
	}
	config = containerConfig("write", "/messages/last", "text")
	message = withTerminationLog(t, config, "/messages/last")
	p.run(t, config).expectExit(t, 0, "Completed")
	if got := message(); !strings.HasPrefix(got, "text") {
		t.Errorf("the message is %q", got)
	}
}
