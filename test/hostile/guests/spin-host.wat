;; SPDX-License-Identifier: Apache-2.0
;; Calls the host for ever.
;;
;; kill: SIGHUP -> 129
(module
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $forever
      (drop (call $yield))
      (br $forever))))
