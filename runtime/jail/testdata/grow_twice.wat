;; Grows its memory until it fails, waits for a byte on stdin, grows it again; exits
;; with the number of pages that it then has.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\20\00\00\00\01\00\00\00")
  (func $grow (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))))
  (func (export "_start")
    (call $grow)
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
    (call $grow)
    (call $exit (memory.size))))
