//! What an owner decides, message by message.

mod beside;
mod cancels;
mod events;
mod gates;
mod messages;
mod model;
mod random;
mod room;
mod table;
