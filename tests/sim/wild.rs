//! What befalls every second world besides faults of venues and networks: an operator who reloads and revokes, a clock that somebody sets,
//! assets nobody has heard of, many readers, and bounds that are soon reached.
//!
//! Its draws are its own: a world is otherwise what it is without them.

use balance_gateway::model::Amount;
use balance_gateway::venue::sim::Move;

use crate::world::World;
use crate::world::client::Wish;

/// Assets that no sample knows.
const NEW: [&str; 3] = ["NEW", "NEW2", "OTHER"];
/// Rows one account may have where the bound is soon reached.
const FEW_ROWS: usize = 4;
/// How far the wall clock is set, at most.
const LEAP_MS: i64 = 300_000;

/// See the module.
pub struct Wild {
    rng: fastrand::Rng,
    /// Clocks are set in this world. A token is dated by the clock, so that no user is revoked in such a world.
    clocks: bool,
}

impl Wild {
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x0071_1d00);
        let clocks = rng.u8(0..3) == 0;
        Self { rng, clocks }
    }

    /// More readers, where this is a world of many.
    pub fn crowd(&mut self, mut wish: impl FnMut(&mut fastrand::Rng) -> Wish) -> Vec<Wish> {
        let count = if self.rng.u8(0..6) == 0 { self.rng.usize(4..12) } else { 0 };
        (0..count).map(|_| wish(&mut self.rng)).collect()
    }

    /// Before anything happens.
    pub fn begin(&mut self, world: &mut World) {
        if self.rng.u8(0..6) == 0 {
            world.limit_rows(FEW_ROWS);
        }
    }

    /// Perhaps something happens now.
    pub fn befall(&mut self, world: &mut World, users: &[&str]) {
        let account = self.rng.usize(0..world.accounts.len());
        match self.rng.u8(0..100) {
            0..12 => self.asset(world),
            12..18 => world.remove(account),
            18..26 => world.restore(account),
            26..34 if self.clocks => world.set_clock(self.rng.i64(-LEAP_MS..LEAP_MS)),
            26..34 => world.revoke(users[self.rng.usize(0..users.len())]),
            _ => {}
        }
    }

    /// An asset appears, changes or goes.
    fn asset(&mut self, world: &mut World) {
        let venue = self.rng.usize(0..world.sides.len());
        let side = &world.sides[venue];
        let Some((wallet, _)) = side.sim.book(&side.account).and_then(|book| book.rows.keys().next().cloned()) else { return };
        let account = side.account.clone();
        let number = if self.rng.u8(0..3) == 0 { 0 } else { self.rng.u32(1..) };
        let (asset, available) = (NEW[self.rng.usize(0..NEW.len())].into(), u64::from(number).into());
        world.moves(venue, &Move::Set { account, wallet, asset, available, locked: Amount::ZERO });
    }
}

/// All is as it was: who was removed is there, and the clock is right.
pub fn end(world: &mut World) {
    world.set_clock(0);
    (0..world.accounts.len()).for_each(|account| world.restore(account));
}
