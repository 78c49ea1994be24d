;; SPDX-License-Identifier: Apache-2.0
;; Copies 256 MiB in one instruction, for ever.
;;
;; kill: SIGKILL -> 137
;; alone: it takes half a GiB
(module
  (memory (export "memory") 8192)
  (func (export "_start")
    (loop $forever
      (memory.copy (i32.const 0x10000000) (i32.const 0) (i32.const 0x10000000))
      (br $forever))))
