;; Has a memory of 256 TiB, addressed with 64 bits.

(component (core module (memory i64 4294967296)))
