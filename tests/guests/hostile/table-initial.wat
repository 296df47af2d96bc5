;; Begins with a table of 100 million elements.

(table 100000000 funcref)
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (i32.const 16))
