//! Launch policy, argv serialisation, the QMP client and the per-domain shim.
