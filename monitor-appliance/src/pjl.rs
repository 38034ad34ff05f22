//! A last way to read a printer: PJL over its raw printing port. Only for devices whose settings ask for it: a device that
//! does not know PJL may print the question.
//!
//! Source: HP Printer Job Language Technical Reference, chapters 4 (`INFO`) and 9 (status codes).

mod answer;

pub use answer::{PjlTold, parse};

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// The raw printing port.
pub const PORT: u16 = 9100;

/// Universal exit: whatever came before, PJL begins.
const EXIT: &str = "\x1b%-12345X";

/// What is asked for; each answer ends with a form feed.
const QUESTIONS: [&str; 3] = ["ID", "STATUS", "PAGECOUNT"];

/// Largest answer, in octets; all three together are below one kilobyte.
const OCTETS_MAX: usize = 16 << 10;

/// A printer told nothing by PJL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PjlError {
    /// Nobody listens there, or it broke off.
    #[error("{address} cannot be asked by PJL; its raw printing port may be switched off or busy with a job")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// It took the question and said nothing.
    #[error("{address} gave no PJL answer within {} s", waited.as_secs())]
    Silent {
        /// Where.
        address: SocketAddr,
        /// How long was waited.
        waited: Duration,
    },
}

/// Asks the printer at `address` for its name, its status and its page count, all within `deadline`. What it answered until
/// then counts.
///
/// # Errors
/// [`PjlError`], each naming the address.
pub async fn ask(address: SocketAddr, deadline: Duration) -> Result<PjlTold, PjlError> {
    let until = Instant::now() + deadline;
    let silent = || PjlError::Silent { address, waited: deadline };
    let connect = |source| PjlError::Connect { address, source };
    let mut stream =
        timeout_at(until, TcpStream::connect(address)).await.map_err(|_| silent())?.map_err(connect)?;
    let questions: String = QUESTIONS.iter().map(|question| format!("@PJL INFO {question}\r\n")).collect();
    let question = format!("{EXIT}@PJL\r\n{questions}{EXIT}");
    timeout_at(until, stream.write_all(question.as_bytes())).await.map_err(|_| silent())?.map_err(connect)?;
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while answer.len() < OCTETS_MAX
        && answer.iter().filter(|octet| **octet == b'\x0c').count() < QUESTIONS.len()
    {
        match timeout_at(until, stream.read(&mut piece)).await {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(read)) => answer.extend(piece.get(..read).unwrap_or_default()),
            Ok(Err(_)) if !answer.is_empty() => break,
            Ok(Err(source)) => return Err(connect(source)),
        }
    }
    if answer.is_empty() { Err(silent()) } else { Ok(parse(&answer)) }
}

#[cfg(test)]
mod tests {
    use super::{EXIT, PjlError, ask};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_printer_that_answers_only_in_part_is_read_in_part() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let printer = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 1024];
            let read = socket.read(&mut asked).await.unwrap();
            assert!(asked[..read].starts_with(EXIT.as_bytes()));
            socket.write_all(b"@PJL INFO ID\r\n\"HP LaserJet 9040\"\r\n\x0c").await.unwrap();
        });
        let told = ask(address, Duration::from_secs(5)).await.unwrap();
        assert_eq!(told.id.as_deref(), Some("HP LaserJet 9040"));
        assert_eq!(told.page_count, None);
        printer.await.unwrap();
    }

    #[tokio::test]
    async fn a_printer_that_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = ask(listener.local_addr().unwrap(), Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, PjlError::Silent { .. }), "{error}");
    }
}
