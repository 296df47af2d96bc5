//! The domain model and its XML: the vocabulary that host and drivers share.
