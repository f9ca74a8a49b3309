//! The bus in memory, under virtual time.
