//! How a listener lets sockets in: how many in all and from one address, and the certificate it shows.
//!
//! It judges sockets, before a byte of HTTP is read; requests and tokens are judged later.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use crate::access::{Seat, Seats};
use crate::client::{Place, Places};
use crate::runtime::{TlsError, not_after, server_tls};

/// Sockets beyond the connections that are served: for REST, and for telling the others that there is no room.
const HEADROOM: usize = 1_000;
/// Sockets over their address's share that are told so at the same time; others are dropped without a word.
const MAX_TURNED_AWAY: usize = 256;

/// The files of a listener's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain as PEM, the leaf first.
    pub cert_file: PathBuf,
    /// The leaf's private key as PEM.
    pub key_file: PathBuf,
}

/// How many sockets a listener lets in.
#[derive(Debug, Clone)]
pub struct DoorLimits {
    pub max_sockets: usize,
    /// From one address; IPv6 counts by /64 network, which is what one subscriber has.
    pub max_per_address: usize,
    /// Addresses that stand for many: not counted here.
    pub trusted_proxies: Vec<IpAddr>,
}

/// The certificate in use, replaced as a whole; connections made with the one before go on.
pub struct Certificate {
    files: TlsFiles,
    held: ArcSwap<ServerConfig>,
    /// Seconds since 1970; 0: it could not be told.
    not_after: AtomicI64,
    read: parking_lot::Mutex<(Vec<u8>, Vec<u8>)>,
}

impl Certificate {
    /// # Errors
    /// As [`server_tls`].
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let read = contents(&files);
        let held = ArcSwap::new(server_tls(&files.cert_file, &files.key_file)?);
        let not_after = not_after(&files.cert_file).unwrap_or(0).into();
        Ok(Self { files, held, not_after, read: read.into() })
    }

    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// When the certificate in use ends, in seconds since 1970. `None`: that cannot be told.
    pub fn not_after(&self) -> Option<i64> {
        Some(self.not_after.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.held.load_full()
    }

    /// Puts the files' present content in place, if it changed; tells whether it did. Reads files: not for the event loop.
    ///
    /// # Errors
    /// The files are not good; the certificate in use stays.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let now = contents(&self.files);
        let mut read = self.read.lock();
        if *read == now {
            return Ok(false);
        }
        let fresh = server_tls(&self.files.cert_file, &self.files.key_file);
        // Remembered even where it is bad, so that one bad file is told once.
        *read = now;
        self.held.store(fresh?);
        self.not_after.store(not_after(&self.files.cert_file).unwrap_or(0), Ordering::Relaxed);
        Ok(true)
    }
}

/// A digest stands for each file: the key itself is not kept twice.
fn contents(files: &TlsFiles) -> (Vec<u8>, Vec<u8>) {
    use sha2::Digest;
    let digest = |path| sha2::Sha256::digest(std::fs::read(path).unwrap_or_default()).to_vec();
    (digest(&files.cert_file), digest(&files.key_file))
}

/// See the module.
pub struct Doors {
    limits: ArcSwap<DoorLimits>,
    sockets: Places,
    turned_away: Places,
    addresses: Seats<IpAddr>,
    /// `None`: plain text.
    pub certificate: Option<Arc<Certificate>>,
}

/// What a socket holds while it is open.
#[derive(Debug)]
pub(super) struct Pass {
    _place: Place,
    /// `None`: its address may not have more; it may hear that and no more.
    pub(super) entry: Option<Entry>,
}

/// See [`Pass`].
#[derive(Debug)]
pub(super) struct Entry {
    _seat: Option<Seat<IpAddr>>,
}

impl Doors {
    pub fn new(limits: DoorLimits, certificate: Option<Arc<Certificate>>) -> Self {
        let (sockets, turned_away, addresses) = Default::default();
        Self { limits: ArcSwap::from_pointee(limits), sockets, turned_away, addresses, certificate }
    }

    /// For sockets to come; those that are open stay.
    pub fn set_limits(&self, limits: DoorLimits) {
        self.limits.store(Arc::new(limits));
    }

    /// Lets a socket in. `None`: there is not even room to refuse it.
    pub(super) fn enter(&self, peer: IpAddr) -> Option<Pass> {
        let limits = self.limits.load();
        let entry = self.entry(peer, &limits);
        let (places, max) = match entry {
            Some(_) => (&self.sockets, limits.max_sockets.saturating_add(HEADROOM)),
            None => (&self.turned_away, MAX_TURNED_AWAY),
        };
        Some(Pass { _place: places.take(max)?, entry })
    }

    fn entry(&self, peer: IpAddr, limits: &DoorLimits) -> Option<Entry> {
        if limits.trusts(peer) {
            return Some(Entry { _seat: None });
        }
        let seat = self.addresses.take(&counted(peer), limits.max_per_address)?;
        Some(Entry { _seat: Some(seat) })
    }

    /// Does the peer speak for many?
    pub(super) fn is_proxy(&self, peer: IpAddr) -> bool {
        self.limits.load().trusts(peer)
    }

    /// The address a request is counted for. `None`: a trusted proxy speaks for nobody in particular.
    pub(super) fn client(&self, peer: IpAddr, forwarded: Option<IpAddr>) -> Option<IpAddr> {
        let limits = self.limits.load();
        let client = if limits.trusts(peer) { forwarded.filter(|client| !limits.trusts(*client)) } else { Some(peer) };
        client.map(counted)
    }

    /// A seat for the address that a trusted proxy speaks for; `None` where it has too many.
    pub(super) fn enter_behind(&self, proxy: IpAddr, client: Option<IpAddr>) -> Option<Entry> {
        let limits = self.limits.load();
        match client.filter(|client| limits.trusts(proxy) && !limits.trusts(*client)) {
            Some(client) => self.entry(client, &limits),
            None => Some(Entry { _seat: None }),
        }
    }
}

impl DoorLimits {
    fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.contains(&peer.to_canonical())
    }
}

/// What an address is counted as.
fn counted(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & (u128::MAX << 64)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(max_sockets: usize, max_per_address: usize) -> Doors {
        let trusted_proxies = vec!["10.0.0.1".parse().unwrap()];
        Doors::new(DoorLimits { max_sockets, max_per_address, trusted_proxies }, None)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_no_other_pays_for_it() {
        let doors = doors(10, 2);
        let held: Vec<_> = (0..2).map(|_| doors.enter(ip("192.0.2.1")).unwrap()).collect();
        assert!(held.iter().all(|pass| pass.entry.is_some()));
        assert!(doors.enter(ip("192.0.2.1")).unwrap().entry.is_none());
        assert!(doors.enter(ip("::ffff:192.0.2.1")).unwrap().entry.is_none(), "the same address in other words");
        assert!(doors.enter(ip("192.0.2.2")).unwrap().entry.is_some());
        drop(held);
        assert!(doors.enter(ip("192.0.2.1")).unwrap().entry.is_some());
    }

    #[test]
    fn an_ipv6_subscriber_counts_as_one() {
        let doors = doors(10, 1);
        let _held = doors.enter(ip("2001:db8:0:1::1")).unwrap();
        assert!(doors.enter(ip("2001:db8:0:1:ffff::9")).unwrap().entry.is_none());
        assert!(doors.enter(ip("2001:db8:0:2::1")).unwrap().entry.is_some());
    }

    #[test]
    fn a_proxy_is_not_counted_but_whom_it_speaks_for_is() {
        let (doors, proxy) = (doors(10, 1), ip("10.0.0.1"));
        let held: Vec<_> = (0..5).map(|_| doors.enter(proxy).unwrap()).collect();
        assert!(held.iter().all(|pass| pass.entry.is_some()));
        let _client = doors.enter_behind(proxy, Some(ip("192.0.2.1"))).unwrap();
        assert!(doors.enter_behind(proxy, Some(ip("192.0.2.1"))).is_none());
        assert!(doors.enter_behind(proxy, None).is_some());
        // Who is no proxy cannot spend another's share.
        assert!(doors.enter_behind(ip("192.0.2.9"), Some(ip("192.0.2.1"))).is_some());
    }

    #[test]
    fn sockets_are_bounded_also_those_that_are_only_refused() {
        let doors = doors(0, 1);
        let proxy = ip("10.0.0.1");
        let _all: Vec<_> = (0..HEADROOM).map(|_| doors.enter(proxy).unwrap()).collect();
        assert!(doors.enter(proxy).is_none());
        let refused = self::doors(10, 0);
        let _told: Vec<_> = (0..MAX_TURNED_AWAY).map(|_| refused.enter(ip("192.0.2.1")).unwrap()).collect();
        assert!(refused.enter(ip("192.0.2.1")).is_none());
    }
}
