//! What a service manager is told of a program that it has started with `Type=notify`, by the protocol of `sd_notify`.

use std::ffi::OsStr;
use std::io;
use std::os::unix::net::UnixDatagram;

use tracing::warn;

/// It does its work.
pub(crate) const READY: &str = "READY=1";
/// It is about to end.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Tells the service manager, if there is one that wants to know.
pub(crate) fn tell(state: &str) {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())
    else {
        return;
    };
    if let Err(error) = send(&address, state) {
        warn!("the service manager cannot be told {state}: {error}");
    }
}

/// A socket of the file system, or, with `@` in front, one of Linux that has a name and no place.
fn send(address: &OsStr, state: &str) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    use std::os::{linux::net::SocketAddrExt as _, unix::ffi::OsStrExt as _};

    let socket = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = address.as_bytes().strip_prefix(b"@") {
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return socket.send_to_addr(state.as_bytes(), &address).map(drop);
    }
    socket.send_to(state.as_bytes(), address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).expect("it was told");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn both_kinds_of_sockets_are_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        send(path.as_os_str(), READY).expect("it can be told");
        assert_eq!(heard(&socket), "READY=1");
        #[cfg(target_os = "linux")]
        {
            use std::os::linux::net::SocketAddrExt as _;
            let name = format!("toolpost-{}", std::process::id());
            let address =
                std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
            let socket = UnixDatagram::bind_addr(&address).expect("bound");
            send(format!("@{name}").as_ref(), STOPPING).expect("it can be told");
            assert_eq!(heard(&socket), "STOPPING=1");
        }
        assert!(send(dir.path().join("none").as_os_str(), READY).is_err());
    }
}
