//! Workflows: what their texts say and how they go on, without a clock, I/O or random numbers.

pub mod expression;
