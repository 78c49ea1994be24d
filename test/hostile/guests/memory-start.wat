;; SPDX-License-Identifier: Apache-2.0
;; Needs more memory to start than it may have.
;;
;; start: memory
;; memory: 16MiB
(module
  (memory (export "memory") 257)
  (func (export "_start")))
