// SPDX-License-Identifier: Apache-2.0

// Package jail runs WebAssembly guests on threads of this process that the
// kernel isolates one by one: a private file descriptor table, root, mounts,
// network namespace, credentials, no_new_privs and a seccomp filter, all set
// on that thread alone.
//
// A guest's thread is made in C and never enters Go: a guest must be free to
// block, to overflow its stack and to be ended by longjmp. All C and all
// unsafe code of what ships is in this package. What crosses the border is
// plain data, so that the same code could run in another process; the one
// shared thing is the loaded module.
//
// The hazards of running WasmEdge beside Go are described where they bite: fault.c,
// keepalive.c, stop.c, return.c, interpose.c.
package jail

/*
#cgo CFLAGS: -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror
#cgo LDFLAGS: -lwasmedge
#include "jail.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"sync"
	"unsafe"

	"github.com/containerd/errdefs"
	"github.com/second-state/WasmEdge-go/wasmedge"
)

var (
	initOnce sync.Once
	errInit  = fmt.Errorf("jail.Init was not called: %w", errdefs.ErrFailedPrecondition)

	guestsMu   sync.Mutex
	guests     = map[uint64]*Guest{}
	lastID     uint64
	maxThreads = math.MaxInt
)

// Keepalive is the module that Init wants, in binary form: it imports the
// function "env"."block" and exports "go", which calls it.
//
//	(module (import "env" "block" (func $b)) (func (export "go") call $b))
var Keepalive = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x04\x01\x60\x00\x00" + // type: func, no parameters, no results
	"\x02\x0d\x01\x03env\x05block\x00\x00" + // import
	"\x03\x02\x01\x00" + // function 1 of that type
	"\x07\x06\x01\x02go\x00\x01" + // export
	"\x0a\x06\x01\x04\x00\x10\x00\x0b") // code: call 0

// Init prepares the process for guests: signal handlers, the keep-alive guest,
// the resolver, a template mount namespace. It works once for all calls;
// keepalive is Keepalive, compiled and loaded, and must stay loaded for ever. cgroup
// is as Spec.Cgroup, for the thread that makes guests and thus for all of them.
//
// Errors: FailedPrecondition, naming what the process lacks.
func Init(keepalive *wasmedge.AST, cgroup string) error {
	initOnce.Do(func() {
		if err := initialize(keepalive, cgroup); err != nil {
			errInit = fmt.Errorf("preparing the process for guests: %w", err)
			return
		}
		errInit = nil
		go dispatch()
	})
	return errInit
}

func initialize(keepalive *wasmedge.AST, cgroup string) error {
	module, err := modulePointer(keepalive)
	if err != nil {
		return err
	}
	o := &order{}
	defer o.free()
	if msg := C.jail_init(module, o.optional(cgroup)); msg != nil {
		return fmt.Errorf("%s: %w", C.GoString(msg), errdefs.ErrFailedPrecondition)
	}
	return nil
}

// modulePointer gets at the C object behind a loaded module, which WasmEdge-go
// keeps to itself.
func modulePointer(ast *wasmedge.AST) (unsafe.Pointer, error) {
	if ast == nil {
		return nil, fmt.Errorf("no module: %w", errdefs.ErrInvalidArgument)
	}
	field := reflect.ValueOf(ast).Elem().FieldByName("_inner")
	if field.Kind() != reflect.Pointer || field.IsNil() {
		return nil, errors.New("WasmEdge-go has changed: wasmedge.AST has no C object \"_inner\"")
	}
	return field.UnsafePointer(), nil
}

// dispatch hands the news from guest threads to their Guest. One thread waits
// for all of them.
func dispatch() {
	for {
		var id C.uint64_t
		var more C.int
		events := C.jail_wait_event(&id, &more)
		guestsMu.Lock()
		g := guests[uint64(id)]
		guestsMu.Unlock()
		g.handle(events)
		if more == 0 {
			// Who waited for the news runs now, on this thread, and not after
			// another one was woken up to take it over, which takes 40 us.
			runtime.Gosched()
		}
	}
}

// register gives a guest its id, under which news of its thread arrives.
//
// Errors: ResourceExhausted: there are as many as SetLimits allows.
func register(g *Guest) error {
	guestsMu.Lock()
	defer guestsMu.Unlock()
	if len(guests) >= maxThreads {
		return fmt.Errorf("the daemon has %d WebAssembly containers, execs and pods, as many as it may have: raise max_guests in the runtime's configuration and vm.max_map_count: %w",
			len(guests), errdefs.ErrResourceExhausted)
	}
	lastID++
	g.id = lastID
	guests[g.id] = g
	return nil
}

func unregister(g *Guest) {
	guestsMu.Lock()
	defer guestsMu.Unlock()
	delete(guests, g.id)
}
