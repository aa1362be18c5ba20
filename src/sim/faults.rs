//! Faults of the network between a venue and its clients, the same for every venue. This file names and parses them; the
//! server carries them out. What a venue itself can do wrong is its simulator's ([`crate::venue::sim::Sim::faults`]).

/// Longest delay a fault may ask for: an hour is longer than any timeout worth testing.
const MAX_DELAY_MS: u64 = 3_600_000;

/// Most frames a fault may ask for.
const MAX_FRAMES: u64 = 1_000_000_000;

/// Every network fault, as written, with what it does.
pub const NET_FAULTS: &[(&str, &str)] = &[
    ("disconnect", "drop every WebSocket connection without a close frame"),
    ("half_open", "neither read nor write on any WebSocket, old or new, and answer no ping, with the sockets kept open"),
    ("refuse", "answer new WebSocket handshakes with 503"),
    ("delay:<ms>", "hold back every frame to clients for so long; order is kept"),
    ("garbage", "send one frame that is no JSON to every connection"),
    ("lose:<n>", "swallow the next n frames to clients"),
    ("duplicate:<n>", "send each of the next n frames to clients twice"),
    ("rest_down", "answer every REST request with 500"),
    ("rest_slow:<ms>", "make every REST answer at once but deliver it so much later, when it is old"),
    ("clock_ahead:<ms>", "let the venue's wall clock run so much ahead of everybody else's"),
    ("heal", "end every network fault"),
];

/// One network fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetFault {
    Disconnect,
    HalfOpen,
    Refuse,
    DelayMs(u64),
    Garbage,
    Lose(u64),
    Duplicate(u64),
    RestDown,
    RestSlowMs(u64),
    ClockAheadMs(u64),
    Heal,
}

/// Why no fault was thrown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// Neither the network nor the venue knows a fault of that name.
    #[error("unknown fault")]
    Unknown,
    #[error("fault {0:?} wants a number of {1} up to {2}, as in \"{0}:{3}\"")]
    Number(&'static str, &'static str, u64, u64),
    #[error("fault {0:?} takes no number")]
    NoNumber(&'static str),
    /// The simulator's own words.
    #[error("{0}")]
    Refused(String),
}

impl NetFault {
    /// Reads `name` or `name:number`. `None`: not a network fault, perhaps one of the venue's.
    ///
    /// # Errors
    /// A network fault whose number is missing, too much or out of bounds.
    pub fn parse(text: &str) -> Option<Result<Self, FaultError>> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let plain = |name: &'static str, fault: Self| match number {
            None => Ok(fault),
            Some(_) => Err(FaultError::NoNumber(name)),
        };
        let ms = |name: &'static str, fault: fn(u64) -> Self| counted(number, name, "ms", MAX_DELAY_MS, 500).map(fault);
        let frames = |name: &'static str, fault: fn(u64) -> Self| counted(number, name, "frames", MAX_FRAMES, 3).map(fault);
        Some(match name {
            "disconnect" => plain("disconnect", Self::Disconnect),
            "half_open" => plain("half_open", Self::HalfOpen),
            "refuse" => plain("refuse", Self::Refuse),
            "delay" => ms("delay", Self::DelayMs),
            "garbage" => plain("garbage", Self::Garbage),
            "lose" => frames("lose", Self::Lose),
            "duplicate" => frames("duplicate", Self::Duplicate),
            "rest_down" => plain("rest_down", Self::RestDown),
            "rest_slow" => ms("rest_slow", Self::RestSlowMs),
            "clock_ahead" => ms("clock_ahead", Self::ClockAheadMs),
            "heal" => plain("heal", Self::Heal),
            _ => return None,
        })
    }
}

fn counted(number: Option<&str>, name: &'static str, unit: &'static str, max: u64, example: u64) -> Result<u64, FaultError> {
    let number = number.and_then(|text| text.parse().ok()).filter(|number| *number <= max);
    number.ok_or(FaultError::Number(name, unit, max, example))
}

/// What is wrong with the network at present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Network {
    pub half_open: bool,
    pub refuse: bool,
    pub delay_ms: u64,
    pub lose: u64,
    pub duplicate: u64,
    pub rest_down: bool,
    pub rest_slow_ms: u64,
    pub clock_ahead_ms: u64,
}

/// What is to be done once, beside the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Burst {
    None,
    Disconnect,
    Garbage,
}

impl Network {
    /// Throws a fault; those already thrown stay until `heal`.
    pub fn throw(&mut self, fault: NetFault) -> Burst {
        match fault {
            NetFault::Disconnect => return Burst::Disconnect,
            NetFault::Garbage => return Burst::Garbage,
            NetFault::HalfOpen => self.half_open = true,
            NetFault::Refuse => self.refuse = true,
            NetFault::DelayMs(ms) => self.delay_ms = ms,
            NetFault::Lose(frames) => self.lose = frames,
            NetFault::Duplicate(frames) => self.duplicate = frames,
            NetFault::RestDown => self.rest_down = true,
            NetFault::RestSlowMs(ms) => self.rest_slow_ms = ms,
            NetFault::ClockAheadMs(ms) => self.clock_ahead_ms = ms,
            NetFault::Heal => *self = Self::default(),
        }
        Burst::None
    }

    /// How often the next frame goes out: not at all, once or twice.
    pub fn copies(&mut self) -> usize {
        if self.lose > 0 {
            self.lose -= 1;
            0
        } else if self.duplicate > 0 {
            self.duplicate -= 1;
            2
        } else {
            1
        }
    }
}
