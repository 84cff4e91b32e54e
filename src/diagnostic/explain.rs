//! What a code means, at length, with a wrong and a right example: `dagwood explain DW103`.
