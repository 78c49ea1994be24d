;; SPDX-License-Identifier: Apache-2.0
;; Runs for ever in the module's start function.
;;
;; kill: SIGKILL -> 137
(module
  (memory (export "memory") 1)
  (func $start (loop $forever (br $forever)))
  (start $start)
  (func (export "_start")))
