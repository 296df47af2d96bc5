;; Asks for an interface that looks like the host's own.

(import "hostler:hostile/domain@0.1.1" "touch" (func $touch))
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (call $touch)
  (i32.const 16))
