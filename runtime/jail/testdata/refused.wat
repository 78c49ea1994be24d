;; Wants 1 GiB more; exits with 8 plus the number of pages it had, or less 1 if refused.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $exit (i32.add (i32.const 8) (memory.grow (i32.const 16384))))))
