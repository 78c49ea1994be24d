;; Makes an assertion of the engine fail: sock_getsockopt of SO_TYPE with a size that is no
;; integer's.
(module
  (import "wasi_snapshot_preview1" "sock_open" (func $open (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_getsockopt" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $open (i32.const 1) (i32.const 2) (i32.const 0)))
    (drop (call $get (i32.load (i32.const 0)) (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 16)))))
