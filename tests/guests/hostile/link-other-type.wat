;; Imports a function of the contract with another type.

(import "hostler:host/clock@0.1.1" "monotonic-ms" (func $now (param i32)))
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (call $now (i32.const 512))
  (i32.const 16))
