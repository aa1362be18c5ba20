//! `watch`: a live table of balances in the terminal.
