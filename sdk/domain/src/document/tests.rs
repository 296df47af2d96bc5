//! Round trip, positions and edits of documents.

