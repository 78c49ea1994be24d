;; An endless loop in what was the start function before the engine made it an
;; export.
(module
  (memory (export "memory") 1)
  (func (export "containerd-wasm.start") (loop $l (br $l)))
  (func (export "_start")))
