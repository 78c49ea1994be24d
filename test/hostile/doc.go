// SPDX-License-Identifier: Apache-2.0

// Package hostile runs guests that attack the daemon, its node and their neighbours,
// and checks that nothing happens but what their files say.
//
// Guests are source files in guests/, or modules that no compiler would make, which
// the Go files in modules/ write. Each begins with a header: comment lines that say
// what it does, an empty one, and then lines of a key and a value:
//
//	;; SPDX-License-Identifier: Apache-2.0
//	;; Calls itself without end.
//	;;
//	;; exit: 134
//	;; stderr: call stack exhausted
//
// One of these says how it ends:
//
//	exit: CODE           by itself; "exit: 137 oom" with an event that it died of its
//	                     memory limit
//	kill: SIGNAL -> CODE by a signal that it is sent
//	create: TEXT         it cannot be created, with an error that has this text
//	start: TEXT          it cannot be started
//
// When a signal is sent, and what else has to be seen:
//
//	after: TEXT          it is sent once this is on stdout; else soon after the start
//	before: start        it is sent before the start
//	pause: resume        it is paused then, and goes on; the rest holds for what follows
//	pause: kill          it is paused then, and gets its signal while it is
//	stdout: TEXT         its output has this text, however it ends; may be repeated
//	stderr: TEXT         the same
//
// What it gets:
//
//	args: WORD ...       after the name of the module
//	env: NAME=VALUE      may be repeated
//	args: N of SIZE      so many arguments of so many bytes
//	env: N of SIZE       so many variables of so many bytes
//	memory: SIZE         its memory limit, such as 16MiB
//	mount: rw PATH       a volume with the files of makeVolume; or ro; may be repeated
//	root: ro             a root that is read-only
//	mask: PATH           a masked path; may be repeated
//	protect: PATH        a read-only path; may be repeated
//	user: UID:GID        else root
//	capabilities: none   else those of containers
//	network: pod         a network namespace with an address, and another pod's beside
//	                     it; or host; else an empty one
//	stdin: open          input that never comes; else it has ended
//	output: unread       nobody reads its output
//	alone: REASON        it is not among those that run together
//
// A key that is not here, or a value that makes no sense, fails the test.
package hostile
