// SPDX-License-Identifier: Apache-2.0

package modules

var (
	memoryShared = waiting("memory-shared", "Waits for another thread, in a memory that threads share.",
		[]byte{3, 1, 2}, "create: threads")
	memoryUnshared = waiting("memory-unshared", "Waits for another thread, in a memory that no threads share.",
		[]byte{1, 1, 2}, "exit: 134\nstderr: expected shared memory")
)

// waiting executes memory.atomic.wait32 without a timeout, in a memory with the given
// limits.
func waiting(name, about string, limits []byte, keys string) Module {
	return Module{
		Name:   name,
		Header: about + "\n\n" + keys,
		Build: func() []byte {
			wait := join(constant(0), constant(0), []byte{opI64Const}, signed(-1), []byte{opAtomic, 1, 2, 0})
			return command(join(leb(0), wait, []byte{opDrop, opEnd}), section(memories, list(limits)))
		},
	}
}
