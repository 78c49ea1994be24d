;; SPDX-License-Identifier: Apache-2.0
;; Polls 2^28 subscriptions, whose size is 0 in 32 bits: the host reads behind the memory.
;;
;; exit: 134
;; stderr: WebAssembly trap
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $poll (i32.const 0) (i32.const 0) (i32.const 0x10000000) (i32.const 0)))))
