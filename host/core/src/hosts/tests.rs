use super::{HostPattern, Reach, reach};

fn pattern(text: &str) -> HostPattern {
    text.parse().expect(text)
}

#[test]
fn what_names_hosts_is_told_from_what_does_not() {
    let good = [
        ("chat.example.org", "chat.example.org"),
        ("Chat.Example.org.:8443", "chat.example.org:8443"),
        ("*.example.org", "*.example.org"),
        ("127.0.0.1:9000", "127.0.0.1:9000"),
        ("[::1]:9000", "[::1]:9000"),
        ("::1", "::1"),
        ("[::1]", "::1"),
    ];
    for (text, shown) in good {
        assert_eq!(pattern(text).to_string(), shown);
        assert_eq!(pattern(shown), pattern(text));
    }
    let bad = [
        "",
        "*",
        "*.",
        "https://a",
        "a/b",
        "a:b",
        "a:0",
        "a:65536",
        "a:+80",
        "a..b",
        "a@b",
        "*a.b",
        "a b",
        "[::1",
        "ä.example",
    ];
    for text in bad {
        assert!(text.parse::<HostPattern>().is_err(), "{text}");
    }
}

#[test]
fn requests_match_by_host_and_port() {
    let table = [
        ("a.org", "a.org", 443, 443, true),
        ("a.org", "A.ORG.", 80, 80, true),
        ("a.org", "a.org", 8443, 443, false),
        ("a.org", "a.org", 443, 80, false),
        ("a.org:8443", "a.org", 8443, 443, true),
        ("a.org:8443", "a.org", 443, 443, false),
        ("*.a.org", "x.a.org", 443, 443, true),
        ("*.a.org", "x.y.a.org", 443, 443, true),
        ("*.a.org", "a.org", 443, 443, false),
        ("*.a.org", "xa.org", 443, 443, false),
        ("*.a.org", "a.org.evil.example", 443, 443, false),
        ("127.0.0.1:9000", "127.0.0.1", 9000, 80, true),
        ("127.0.0.1:9000", "localhost", 9000, 80, false),
        ("[::1]:9000", "[::1]", 9000, 80, true),
    ];
    for (granted, host, port, scheme_port, expected) in table {
        assert_eq!(
            pattern(granted).matches(host, port, scheme_port),
            expected,
            "{granted} {host}:{port}"
        );
    }
}

#[test]
fn a_grant_covers_what_is_within_it() {
    let table = [
        ("a.org", "a.org", true),
        ("a.org", "a.org:8443", false),
        ("a.org:8443", "a.org", false),
        ("*.a.org", "x.a.org", true),
        ("*.a.org", "*.x.a.org", true),
        ("*.a.org", "*.a.org", true),
        ("x.a.org", "*.a.org", false),
        ("*.a.org", "*.xa.org", false),
    ];
    for (granted, wanted, expected) in table {
        assert_eq!(
            pattern(granted).covers(&pattern(wanted)),
            expected,
            "{granted} {wanted}"
        );
    }
}

#[test]
fn addresses_are_public_private_or_nobodys() {
    let told = |address: &str| reach(address.parse().expect(address));
    for public in [
        "93.184.216.34",
        "1.1.1.1",
        "172.32.0.1",
        "2606:4700::1111",
        "64:ff9b::101:101",
        "::ffff:8.8.8.8",
    ] {
        assert_eq!(told(public), Reach::Public, "{public}");
    }
    for private in [
        "127.0.0.1",
        "127.9.9.9",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fd12::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::127.0.0.1",
    ] {
        assert_eq!(told(private), Reach::Private, "{private}");
    }
    for never in [
        "0.0.0.0",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::",
        "fe80::1",
        "ff02::1",
        "2001:db8::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::",
        "fec0::1",
        "2001::1",
    ] {
        assert_eq!(told(never), Reach::Never, "{never}");
    }
}
