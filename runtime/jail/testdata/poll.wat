;; Sleeps for ever in poll_oneoff: a subscription to the monotonic clock, an
;; hour away, again and again.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\01")                       ;; clock id: monotonic
  (data (i32.const 24) "\00\a0\b8\30\46\03\00\00")  ;; timeout: 3600e9 ns
  (func (export "_start")
    (loop $l (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))) (br $l))))
