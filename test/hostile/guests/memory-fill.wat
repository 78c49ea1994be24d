;; SPDX-License-Identifier: Apache-2.0
;; Fills 512 MiB in one instruction, for ever.
;;
;; kill: SIGKILL -> 137
;; alone: it takes half a GiB
(module
  (memory (export "memory") 8192)
  (func (export "_start")
    (loop $forever
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x20000000))
      (br $forever))))
