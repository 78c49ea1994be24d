;; Exits with 0 if random_get fills a buffer, refuses one outside of memory, and
;; never gives the same twice.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (call $random (i32.const 0) (i32.const 8)) (then (call $exit (i32.const 1))))
    (if (call $random (i32.const 1024) (i32.const 1000)) (then (call $exit (i32.const 2))))
    (if (i64.eqz (i64.load (i32.const 2016))) (then (call $exit (i32.const 3))))
    (if (i32.ne (call $random (i32.const 65530) (i32.const 8)) (i32.const 21)) (then (call $exit (i32.const 4))))
    (drop (call $random (i32.const 8) (i32.const 8)))
    (if (i64.eq (i64.load (i32.const 0)) (i64.load (i32.const 8))) (then (call $exit (i32.const 5))))))
