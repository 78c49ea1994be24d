;; SPDX-License-Identifier: Apache-2.0
;; Asks for a page more than it may have, for ever.
;;
;; kill: SIGKILL -> 137
;; memory: 16MiB
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $forever
      (drop (memory.grow (i32.const 1)))
      (br $forever))))
