;; SPDX-License-Identifier: Apache-2.0
;; Polls nothing, without end.
;;
;; kill: SIGKILL -> 137
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $forever
      (drop (call $poll (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8)))
      (br $forever))))
