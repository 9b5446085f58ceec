//! A backend that reads uploads to their ends and answers 204, a thread per connection.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::client::Error;

/// Serves until the process is killed.
pub(super) fn serve(address: SocketAddr) -> Result<String, Error> {
    for stream in TcpListener::bind(address)?.incoming() {
        let stream = stream?;
        std::thread::spawn(move || connection(&stream));
    }
    Ok(String::new())
}

fn connection(mut stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1024 * 1024, stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}
