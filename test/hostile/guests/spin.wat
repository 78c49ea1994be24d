;; SPDX-License-Identifier: Apache-2.0
;; Runs for ever, without a call or an access to memory.
;;
;; kill: SIGKILL -> 137
(module
  (memory (export "memory") 1)
  (func (export "_start") (loop $forever (br $forever))))
