// SPDX-License-Identifier: Apache-2.0

// Package runtime runs the tasks of the runtime io.containerd.wasmedge.v1 in
// this process: no shim, no child. Manager makes them, and Merge sets it
// beside upstream's task manager, which keeps every other runtime.
//
// A task is a guest thread (package jail) that runs a module (package engine)
// in the root file system that the caller prepared:
//
//	          Create             Start             guest ends         Delete
//	(nothing) -----> CREATED ----------> RUNNING -----------> STOPPED ------> (nothing)
//	                    |   start fails     ^                    ^
//	                    +-------------------|--------------------+
//	                       or Kill before Start
//
// Each is a process, and so are its execs: further guests that see and have what it
// has, and end with it.
//
// After a restart of the daemon the manager has no tasks: they ended with it.
package runtime
