;; Has 1 GiB of memory, and data in it.
(module
  (memory (export "memory") 16384)
  (data (i32.const 65536) "data")
  (func (export "_start")))
