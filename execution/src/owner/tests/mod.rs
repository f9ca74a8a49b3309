//! What an owner decides, message by message.

mod cancels;
mod model;
mod random;
mod table;
