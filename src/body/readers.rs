//! Readers on this machine: how much they have not read yet.
//!
//! A reader is seen only when its window opens, and that it does in steps (RFC 9293 section 3.8.6.2.2): on loopback, where
//! segments have 64 KiB, one of 1 KiB/s stands still for one or two minutes to whoever sends. Its end of the connection is
//! this machine's there, so the system tells what waits in it.

use std::collections::HashMap;
use std::fs;

/// The ports of a connection within this machine: ours, and the other end's.
pub(crate) type Ends = (u16, u16);

/// What waits unread at the ends of this machine's connections.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    unread: HashMap<Ends, u64>,
}

impl Readers {
    /// As it is now. A system that does not tell has none.
    pub(crate) fn now() -> Self {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let texts = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
        let unread = texts.iter().flat_map(|text| text.lines()).filter_map(line);
        Self {
            unread: unread.collect(),
        }
    }

    /// Bytes that the other end has taken in and nobody has read.
    pub(crate) fn unread(&self, (ours, theirs): Ends) -> Option<u64> {
        self.unread.get(&(theirs, ours)).copied()
    }
}

/// A connection's ports, and what waits unread at its first end (Linux, Documentation/networking/proc_net_tcp.rst).
fn line(line: &str) -> Option<(Ends, u64)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let mut port = || {
        let (_, port) = fields.next()?.rsplit_once(':')?;
        u16::from_str_radix(port, 16).ok()
    };
    let ends = (port()?, port()?);
    let (_, unread) = fields.nth(1)?.split_once(':')?;
    Some((ends, u64::from_str_radix(unread, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "no worker's thread")]
    fn what_the_other_end_reads_is_seen_byte_by_byte() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut writer, peer) = listener.accept().unwrap();
        writer.write_all(&[b'x'; 5000]).unwrap();
        reader.read_exact(&mut [0]).unwrap();
        let ends = (listener.local_addr().unwrap().port(), peer.port());
        let unread = || Readers::now().unread(ends);
        assert_eq!(unread(), Some(4999));
        reader.read_exact(&mut [0; 1000]).unwrap();
        assert_eq!(unread(), Some(3999));
        assert_eq!(Readers::now().unread((ends.0, 1)), None);
    }

    #[test]
    fn lines_of_other_forms_are_nobodys() {
        let fine = "   3: 0100007F:1F90 0100007F:C350 01 0000000A:000000FF 01:00000014 00000000     0        0 1";
        assert_eq!(line(fine), Some(((0x1f90, 0xc350), 255)));
        for other in [
            "",
            "  sl  local_address rem_address   st tx_queue rx_queue tr",
            "1: a b c d",
            "1: a:1 b:2 01 1",
        ] {
            assert_eq!(line(other), None, "{other}");
        }
    }
}
