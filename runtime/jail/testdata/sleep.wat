;; Sleeps for 100 ms in poll_oneoff; exits with its error number.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\01")                       ;; clock id: monotonic
  (data (i32.const 24) "\00\e1\f5\05\00\00\00\00")  ;; timeout: 100e6 ns
  (func (export "_start")
    (call $exit (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))
