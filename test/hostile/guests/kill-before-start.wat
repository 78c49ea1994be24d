;; SPDX-License-Identifier: Apache-2.0
;; Is killed before it is started.
;;
;; kill: SIGKILL -> 137
;; before: start
(module
  (memory (export "memory") 1)
  (func (export "_start") (unreachable)))
