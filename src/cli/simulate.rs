//! `simulate`: the venue simulators alone.
