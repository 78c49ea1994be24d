;; The same, with 1 GiB of memory.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 16384)
  (func (export "_start") (call $exit (i32.load8_u (i32.const 0x400000)))))
