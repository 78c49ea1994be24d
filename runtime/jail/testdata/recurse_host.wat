;; Endless recursion that makes a host call at every depth, so that the stack
;; ends inside the host.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $f (param i32) (result i32)
    (i32.xor (call $random (i32.const 0) (i32.const 8))
             (i32.xor (call $f (i32.add (local.get 0) (i32.const 1)))
                      (call $f (i32.mul (local.get 0) (i32.const 3))))))
  (func (export "_start") (drop (call $f (i32.const 0)))))
