//! stub
use crate::venue::sim::{Sim, SimSetup};
pub(super) fn simulate(_: SimSetup) -> Box<dyn Sim> { unimplemented!() }
