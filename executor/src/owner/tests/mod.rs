//! The owner as a stage: what it reads, waits for, gives up and writes. What it decides is tested in
//! `petrel-execution`.

mod careful;
mod harness;
mod large;
mod pages;
mod pieces;
mod process;
mod replay;
mod stage;
mod steps;
