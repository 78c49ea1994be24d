;; poll_oneoff with more subscriptions than the engine can have memory for.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 65536)
  (func (export "_start")
    (drop (call $poll (i32.const 0) (i32.const 0) (i32.const 89478485) (i32.const 128)))))
