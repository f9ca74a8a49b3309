//! What an owner decides, message by message.

mod beside;
mod cancels;
mod gates;
mod model;
mod random;
mod table;
