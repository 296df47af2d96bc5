;; Begins with 4 GiB of memory.

(memory (export "memory") 65536)
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (i32.const 16))
