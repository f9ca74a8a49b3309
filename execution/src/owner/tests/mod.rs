//! What an owner decides, message by message.

mod beside;
mod cancels;
mod catalog;
mod events;
mod family;
mod gates;
mod large;
mod messages;
mod model;
mod policies;
mod random;
mod reruns;
mod rests;
mod room;
mod table;
mod turnstile;
mod workflows;
