;; A list of 0x10000000 subscriptions: its size in bytes is 0 in 32 bits.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $p (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    ;; 0x10000000 * 48 = 3 * 2^32, * 32 = 2 * 2^32: both wrap to 0
    (drop (call $p (i32.const 0) (i32.const 0) (i32.const 0x10000000) (i32.const 128)))))
