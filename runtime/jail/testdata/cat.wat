;; Copies the file /secret/file to stdout; exits with 44 (NOENT) or another error
;; number if it cannot be opened.
(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "secret/file")
  (data (i32.const 32) "\00\01\00\00\00\10\00\00")
  (func (export "_start") (local $err i32)
    (local.set $err (call $open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 11)
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64)))
    (if (local.get $err) (then (call $exit (local.get $err))))
    (drop (call $read (i32.load (i32.const 64)) (i32.const 32) (i32.const 1) (i32.const 36)))
    (drop (call $write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40)))))
