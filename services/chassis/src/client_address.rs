//! Where a request comes from, behind proxies that are trusted by name.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use ipnet::IpNet;

/// The networks whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

/// The address of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl TrustedProxies {
    /// Whether `address` is one of the proxies.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client's address: the peer's, or, if the peer is a trusted proxy, the last address in
    /// `X-Forwarded-For`, of which these are the values, that is not one. What a client wrote there
    /// itself is never believed.
    pub fn resolve<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.contains(peer) {
            return peer;
        }
        let mut client = peer;
        let hops = forwarded
            .rev()
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.rsplit(','));
        for hop in hops {
            let Ok(address) = hop.trim().parse::<IpAddr>() else {
                return client;
            };
            client = address.to_canonical();
            if !self.contains(client) {
                return client;
            }
        }
        client
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    /// Networks (`10.0.0.0/8`) or single addresses, separated by commas.
    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(str::trim)
            .map(|network| {
                network
                    .parse::<IpNet>()
                    .or_else(|_| network.parse::<IpAddr>().map(IpNet::from))
                    .map_err(|_| format!("{network:?} is not a network like 10.0.0.0/8"))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl<S> FromRequestParts<S> for ClientAddress
where
    S: Send + Sync,
    TrustedProxies: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            // Without a connection there is no peer: all such requests count as one client.
            .map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(peer)| peer.ip());
        let forwarded = parts.headers.get_all("x-forwarded-for").iter();
        let forwarded = forwarded.map(HeaderValue::as_bytes);
        Ok(Self(
            TrustedProxies::from_ref(state).resolve(peer, forwarded),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(trusted: &str, peer: &str, forwarded: &[&str]) -> String {
        let trusted = if trusted.is_empty() {
            TrustedProxies::default()
        } else {
            trusted.parse().unwrap()
        };
        let forwarded = forwarded.iter().map(|value| value.as_bytes());
        let client = trusted.resolve(peer.parse().unwrap(), forwarded);
        client.to_string()
    }

    #[test]
    fn nobody_is_believed_by_default() {
        assert_eq!(resolve("", "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
    }

    #[test]
    fn a_client_cannot_choose_its_address_behind_a_trusted_proxy() {
        let seen = resolve("10.0.0.0/8", "10.1.2.3", &["1.1.1.1, 198.51.100.7"]);
        assert_eq!(seen, "198.51.100.7");
    }

    #[test]
    fn chains_of_trusted_proxies_are_walked_from_the_right() {
        let seen = resolve(
            "10.0.0.0/8, ::1",
            "::1",
            &["1.1.1.1", "198.51.100.7, 10.9.9.9"],
        );
        assert_eq!(seen, "198.51.100.7");
        assert_eq!(
            resolve("10.0.0.0/8", "::ffff:10.1.2.3", &["198.51.100.7"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn garbage_ends_the_walk() {
        assert_eq!(
            resolve("10.0.0.0/8", "10.1.2.3", &["198.51.100.7, x"]),
            "10.1.2.3"
        );
    }
}
