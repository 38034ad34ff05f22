//! The smallest mail server that serves: SMTP and POP3 on one port each, mailboxes by address, any password.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Boxes {
    mails: HashMap<String, Vec<(u64, Vec<u8>)>>,
    count: u64,
}

#[derive(Clone)]
pub(crate) struct PostOffice {
    boxes: Arc<Mutex<Boxes>>,
    pub(crate) smtp: SocketAddr,
    pub(crate) pop3: SocketAddr,
}

impl PostOffice {
    /// Opens; its threads end with the test's process.
    pub(crate) fn open() -> Self {
        let (smtp, pop3) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let office = Self {
            boxes: Arc::default(),
            smtp: smtp.local_addr().unwrap(),
            pop3: pop3.local_addr().unwrap(),
        };
        for (listener, serve) in [(smtp, Self::smtp as fn(&Self, TcpStream)), (pop3, Self::pop3)] {
            let office = office.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let office = office.clone();
                    std::thread::spawn(move || serve(&office, stream));
                }
            });
        }
        office
    }

    pub(crate) fn put(&self, address: &str, raw: &[u8]) {
        let mut boxes = self.boxes.lock().unwrap();
        boxes.count += 1;
        let number = boxes.count;
        boxes.mails.entry(address.to_owned()).or_default().push((number, raw.to_vec()));
    }

    /// Takes all mails out of a mailbox.
    pub(crate) fn take(&self, address: &str) -> Vec<Vec<u8>> {
        let taken = self.boxes.lock().unwrap().mails.remove(address).unwrap_or_default();
        taken.into_iter().map(|(_, raw)| raw).collect()
    }

    fn smtp(&self, stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut out = stream;
        let mut recipients = Vec::new();
        let _ = out.write_all(b"220 office\r\n");
        while let Some(line) = read_line(&mut lines) {
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            let answer: &[u8] = match text.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
                "EHLO" => b"250-office\r\n250 8BITMIME\r\n",
                "RCPT" => {
                    let address = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                    recipients.extend(address.map(|(address, _)| address.to_owned()));
                    b"250 ok\r\n"
                }
                "DATA" => {
                    let _ = out.write_all(b"354 go on\r\n");
                    let Some(raw) = read_mail(&mut lines) else { return };
                    recipients.drain(..).for_each(|address| self.put(&address, &raw));
                    b"250 ok\r\n"
                }
                "QUIT" => {
                    let _ = out.write_all(b"221 bye\r\n");
                    return;
                }
                _ => b"250 ok\r\n",
            };
            let _ = out.write_all(answer);
        }
    }

    fn pop3(&self, stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut out = stream;
        let (mut user, mut listed, mut dead) = (String::new(), Vec::new(), Vec::new());
        let _ = out.write_all(b"+OK office\r\n");
        while let Some(line) = read_line(&mut lines) {
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
            let nth = rest.parse::<usize>().unwrap_or(0).saturating_sub(1);
            let answer: Vec<u8> = match word.to_ascii_uppercase().as_str() {
                "CAPA" => b"+OK\r\nUSER\r\nUIDL\r\n.\r\n".to_vec(),
                "USER" => {
                    user = rest.to_owned();
                    b"+OK\r\n".to_vec()
                }
                "PASS" => {
                    listed = self.boxes.lock().unwrap().mails.get(&user).cloned().unwrap_or_default();
                    b"+OK\r\n".to_vec()
                }
                "STAT" => format!("+OK {} {}\r\n", listed.len(), 1000 * listed.len()).into_bytes(),
                "LIST" => list(&listed, |(_, raw): &(u64, Vec<u8>)| raw.len().to_string()),
                "UIDL" => list(&listed, |(number, _)| format!("u{number}")),
                "RETR" => match listed.get(nth) {
                    Some((_, raw)) => [b"+OK\r\n".as_slice(), raw, b".\r\n"].concat(),
                    None => b"-ERR no such mail\r\n".to_vec(),
                },
                "DELE" => {
                    dead.extend(listed.get(nth).map(|(number, _)| *number));
                    b"+OK\r\n".to_vec()
                }
                "QUIT" => {
                    if let Some(mails) = self.boxes.lock().unwrap().mails.get_mut(&user) {
                        mails.retain(|(number, _)| !dead.contains(number));
                    }
                    let _ = out.write_all(b"+OK bye\r\n");
                    return;
                }
                _ => b"-ERR what?\r\n".to_vec(),
            };
            let _ = out.write_all(&answer);
        }
    }
}

fn list(mails: &[(u64, Vec<u8>)], of: impl Fn(&(u64, Vec<u8>)) -> String) -> Vec<u8> {
    let mut text = "+OK\r\n".to_owned();
    for (nth, mail) in mails.iter().enumerate() {
        text.push_str(&format!("{} {}\r\n", nth + 1, of(mail)));
    }
    text.push_str(".\r\n");
    text.into_bytes()
}

fn read_line(lines: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let read = lines.read_until(b'\n', &mut line).ok()?;
    (read > 0).then_some(line)
}

/// Up to the lonely dot. Our own mails have no line that begins with one.
fn read_mail(lines: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut raw = Vec::new();
    loop {
        let line = read_line(lines)?;
        if line == b".\r\n" {
            return Some(raw);
        }
        raw.extend(line);
    }
}
