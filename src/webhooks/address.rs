//! The addresses that deliveries may go to. Whoever may make a webhook must not reach what only this machine reaches: its own
//! services, those of its network, and the metadata of its cloud.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one of the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match (a, b, c) {
        // This network, private, loopback, link-local; multicast, reserved and broadcast.
        (0 | 10 | 127, ..) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) | (224.., ..) => true,
        // Carriers' networks; protocol assignments, documentation, 6to4 relays, benchmarks.
        (100, 64..=127, _) | (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => {
            true
        }
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b] {
        // An address of IPv4 behind a gateway (NAT64).
        [0x64, 0xff9b] => [c, d, e, f] == [0; 4] && embedded(g, h),
        [0x2002, _] => embedded(b, c),
        // Teredo and other assignments to protocols, documentation.
        [0x2001, ..=0x1ff | 0xdb8] | [0x3fff, ..=0xfff] => false,
        // All that is given out as global unicast.
        [0x2000..=0x3fff, _] => true,
        _ => false,
    }
}

/// Whether a host of a URL is private by its very name, whatever a look-up says: a special address in any of the forms that
/// systems take, or a name that is kept for this machine or this network.
pub(super) fn is_private_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    let address = name.parse().ok().or_else(|| numbers(&name).map(IpAddr::V4));
    let is_under = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    match address {
        Some(address) => !is_public(address),
        None => ["localhost", "localhost.localdomain", "local", "internal"].into_iter().any(is_under),
    }
}

/// An address of IPv4 as `inet_aton` reads it: one to four numbers, decimal, octal or hexadecimal, of which the last fills up.
fn numbers(host: &str) -> Option<Ipv4Addr> {
    let parts = host.split('.').map(|part| match part.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None if part.len() > 1 && part.starts_with('0') => u32::from_str_radix(part, 8).ok(),
        None => part.parse().ok(),
    });
    let parts = parts.collect::<Option<Vec<u32>>>().filter(|parts| (1..=4).contains(&parts.len()))?;
    let (last, first) = parts.split_last()?;
    let room = 4 - first.len();
    let fits = first.iter().all(|part| *part < 256) && u64::from(*last) < 1 << (8 * room);
    let high = first.iter().zip([24, 16, 8]).fold(0, |sum, (part, shift)| sum | part << shift);
    fits.then(|| Ipv4Addr::from(high | last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_host_is_known_by_its_name() {
        for private in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7F.1",
            "0177.0.0.1",
            "10.0.0.1",
            "0xa9fea9fe",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "[fe80::1]",
            "localhost",
            "LocalHost.",
            "a.localhost",
            "localhost.localdomain",
            "printer.local",
            "metadata.google.internal",
        ] {
            assert!(is_private_name(private), "{private}");
        }
        for public in [
            "1.1.1.1",
            "16843009",
            "[2606:4700::1111]",
            "example.com",
            "localhost.example.com",
            "notlocalhost",
            "10.example.com",
            "alerts",
            "1.2.3.4.5",
            "256.1.1.1",
        ] {
            assert!(!is_private_name(public), "{public}");
        }
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.1.2",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.7",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }
}
