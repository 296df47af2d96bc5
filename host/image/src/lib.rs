//! Storage-chain core: header probing, backing strings, chain walk and policy; no I/O.
