;; Exits with the byte at 4 MiB, where a program that is not relocated begins. It has no
;; data, so nothing is copied into its memory.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.load8_u (i32.const 0x400000)))))
