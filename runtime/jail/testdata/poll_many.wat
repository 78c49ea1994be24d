;; Polls 100,000 clocks at once, for ever: a list of megabytes of the engine's.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 128)
  (func (export "_start")
    (loop $l
      (drop (call $poll (i32.const 0) (i32.const 4800000) (i32.const 100000) (i32.const 8000000)))
      (br $l))))
