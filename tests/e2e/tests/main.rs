//! End to end: Petrel as its users run it, on real parts.

mod acls;
mod bad_input;
mod config;
mod core;
mod crash;
mod deploy;
mod embedded;
mod gates;
mod guard;
mod hostile;
mod inquiries;
mod large;
mod outage;
mod output;
mod policies;
mod remediation;
mod requests;
mod results;
mod rights;
mod runners;
mod secrets;
mod troubleshooting;
mod upgrade;
mod workers;
mod workflows;
