;; Has eight memories of 10 MiB each: as many as it may have, and together too much.

(memory (export "memory") 160)
(memory 160)
(memory 160)
(memory 160)
(memory 160)
(memory 160)
(memory 160)
(memory 160)
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (i32.const 16))
