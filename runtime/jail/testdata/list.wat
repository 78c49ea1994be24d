;; Opens its root, lists it and closes it, for ever.
(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) ".")
  (func (export "_start")
    (loop $l
      (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2)
            (i64.const 16384) (i64.const 0) (i32.const 0) (i32.const 64)) (then (unreachable)))
      (if (call $list (i32.load (i32.const 64)) (i32.const 128) (i32.const 4096) (i64.const 0) (i32.const 68))
        (then (unreachable)))
      (if (call $close (i32.load (i32.const 64))) (then (unreachable)))
      (br $l))))
