;; An endless loop without any call.
(module
  (memory (export "memory") 1)
  (func (export "_start") (loop $l (br $l))))
