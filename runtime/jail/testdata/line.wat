;; Reads stdin once; exits with the number of bytes, or 100 and the error number.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\20\00\00\00\10\00\00\00")
  (func (export "_start") (local $err i32)
    (local.set $err (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
    (if (local.get $err) (then (call $exit (i32.add (i32.const 100) (local.get $err)))))
    (call $exit (i32.load (i32.const 16)))))
