;; Traps at a depth of calls that its arguments say: sixteen for each byte of them.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $down (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then unreachable))
    (i32.rotl (call $down (i32.sub (local.get 0) (i32.const 1))) (local.get 0)))
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $down (i32.mul (i32.load (i32.const 4)) (i32.const 16))))))
