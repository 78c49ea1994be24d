;; SPDX-License-Identifier: Apache-2.0
;; Has no limit, and grows its memory to all of 4 GiB, of which it uses the ends.
;;
;; exit: 0
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.ne (memory.grow (i32.const 65536)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (memory.grow (i32.const 65535)) (i32.const 1)) (then (unreachable)))
    (i64.store (i32.const 0xfffffff8) (i64.const 1))
    (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))))
