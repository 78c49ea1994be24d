;; SPDX-License-Identifier: Apache-2.0
;; Grows its memory by one page until it cannot, and gives up.
;;
;; exit: 137 oom
;; memory: 16MiB
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (call $exit (i32.const 1))))
