;; SPDX-License-Identifier: Apache-2.0
;; Runs for ever, and is killed while it is paused.
;;
;; kill: SIGKILL -> 137
;; pause: kill
(module
  (memory (export "memory") 1)
  (func (export "_start") (loop $forever (br $forever))))
