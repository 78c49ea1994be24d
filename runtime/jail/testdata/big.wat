;; Needs 100 pages to start.
(module (memory (export "memory") 100) (func (export "_start")))
