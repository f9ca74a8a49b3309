//! What an owner decides, message by message.

mod beside;
mod cancels;
mod model;
mod random;
mod table;
