// SPDX-License-Identifier: Apache-2.0

// Package fault is a plugin for a daemon under test: a gRPC service whose handlers
// have faults in Go code, and recover.
package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Methods, by their full names. None takes anything.
const (
	// NilDereference and BusError answer with the text of the panic that they
	// recovered from.
	NilDereference = "/" + service + "/NilDereference"
	BusError       = "/" + service + "/BusError"
	// Memory collects garbage, gives free memory back to the kernel, and answers
	// with a Usage as JSON.
	Memory = "/" + service + "/Memory"
)

const service = "containerdwasm.test.v1.Fault"

// Usage is what the process has of memory, in bytes, and how many goroutines it has made
// so far.
type Usage struct {
	Heap       uint64 // of Go: live objects
	Mapped     uint64 // of Go: everything that is not given back
	Malloc     uint64 // of C: blocks in use
	Goroutines uint64
}

// Call calls a method of the daemon behind conn.
func Call(ctx context.Context, conn grpc.ClientConnInterface, method string) (string, error) {
	var answer wrapperspb.StringValue
	err := conn.Invoke(ctx, method, &emptypb.Empty{}, &answer)
	return answer.GetValue(), err
}

func init() {
	registry.Register(&plugin.Registration{
		Type:   plugins.GRPCPlugin,
		ID:     "fault",
		InitFn: func(*plugin.InitContext) (any, error) { return faults{}, nil },
	})
}

type faults struct{}

// Register is how the daemon asks a plugin for its service.
func (f faults) Register(s *grpc.Server) error {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: service,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			method("NilDereference", recovered(nilDereference)),
			method("BusError", recovered(busError)),
			method("Memory", memory),
		},
	}, f)
	return nil
}

func method(name string, do func() (string, error)) grpc.MethodDesc {
	handler := func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		if err := decode(&emptypb.Empty{}); err != nil {
			return nil, err
		}
		answer, err := do()
		return wrapperspb.String(answer), err
	}
	return grpc.MethodDesc{MethodName: name, Handler: handler}
}

// recovered returns what f panics with. f returns only if the fault did not happen.
func recovered(f func() error) func() (string, error) {
	return func() (text string, err error) {
		defer func() {
			if r := recover(); r != nil {
				text = fmt.Sprint(r)
			}
		}()
		return "", f()
	}
}

func nilDereference() error {
	var p *int
	*p = 1 //nolint:govet // the fault is the point
	return fmt.Errorf("%p was written", p)
}

// busError reads a page of a file that has none.
func busError() error {
	page, err := emptyPage()
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(page) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return fmt.Errorf("%d was read", page[0])
}

func emptyPage() ([]byte, error) {
	fd, err := unix.MemfdCreate("empty", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
}

func memory() (string, error) {
	debug.FreeOSMemory() // collects
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	made := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
	metrics.Read(made)
	b, err := json.Marshal(Usage{
		Heap:       m.HeapAlloc,
		Mapped:     m.Sys - m.HeapReleased,
		Malloc:     allocated(),
		Goroutines: made[0].Value.Uint64(),
	})
	return string(b), err
}
