//! balance-gateway: one exact, live view of the balances held at many trading venues, served to many frontends.
//!
//! The data's way is the reading order: a venue's bytes become [`model::VenueEvent`]s in a session of [`venue`], rows in the
//! [`store`], frames in a view of the [`hub`], and leave through a session of [`client`].
//!
//! - [`model`]: the vocabulary that every stage speaks.
//! - [`venue`], [`store`], [`hub`]: upstream, what is known, who is told.
//! - [`access`], [`protocol`], [`client`], [`server`]: rights, words, conversations and listeners downstream.
//! - [`config`], [`metrics`], [`runtime`], [`sim`]: settings, figures, tasks and time, and the simulated venues.
//! - [`sync`]: the lock and the bell of the store and the hub.
//! - [`app`], [`cli`]: a running gateway, and its commands.
//!
//! `ARCHITECTURE.md` is the map, with the invariants and three walks through all of it; `docs/protocol.md` is what clients see.

#![forbid(unsafe_code)]

pub mod model;

pub mod hub;
pub mod store;
pub mod venue;

pub mod access;
pub mod client;
pub mod protocol;
pub mod server;

pub mod config;
pub mod metrics;
pub mod runtime;
pub mod sim;
pub mod sync;

pub mod app;
pub mod cli;
