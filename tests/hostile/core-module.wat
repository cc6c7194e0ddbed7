;; A core module where a component is needed.
(module
  (func (export "describe") (result i32) (i32.const 0)))
