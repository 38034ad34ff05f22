//! A post office of one mailbox: as much SMTP and POP3 as the agent speaks, with a few faults.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone)]
struct Mail {
    id: u32,
    content: Vec<u8>,
    octets_declared: usize,
}

#[derive(Default)]
struct State {
    mailbox: Vec<Mail>,
    delivered: u32,
    sent: Vec<Vec<u8>>,
    away: bool,
    silent: bool,
    turned_away: u32,
    hang_ups_at_quit: u32,
    retrieved: u32,
}

#[derive(Clone)]
pub(crate) struct PostOffice {
    pub(crate) smtp_port: u16,
    pub(crate) pop3_port: u16,
    state: Arc<Mutex<State>>,
}

type Dialog = fn(&Arc<Mutex<State>>, TcpStream) -> std::io::Result<()>;

impl PostOffice {
    pub(crate) fn open() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let serve = |dialog: Dialog| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let state = Arc::clone(&state);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let state = Arc::clone(&state);
                    std::thread::spawn(move || converse(&state, stream, dialog));
                }
            });
            port
        };
        let (smtp_port, pop3_port) = (serve(smtp), serve(pop3));
        Self { smtp_port, pop3_port, state }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap())
    }

    pub(crate) fn deliver(&self, mail: Vec<u8>) {
        let octets = mail.len();
        self.deliver_declared(mail, octets);
    }

    pub(crate) fn deliver_declared(&self, mail: Vec<u8>, octets: usize) {
        self.with(|state| {
            state.delivered += 1;
            let id = state.delivered;
            state.mailbox.push(Mail { id, content: mail, octets_declared: octets });
        });
    }

    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        self.with(|state| state.sent.clone())
    }

    pub(crate) fn mailbox_len(&self) -> usize {
        self.with(|state| state.mailbox.len())
    }

    pub(crate) fn retrieved(&self) -> u32 {
        self.with(|state| state.retrieved)
    }

    pub(crate) fn turned_away(&self) -> u32 {
        self.with(|state| state.turned_away)
    }

    pub(crate) fn go_away(&self) {
        self.with(|state| state.away = true);
    }

    pub(crate) fn come_back(&self) {
        self.with(|state| state.away = false);
    }

    pub(crate) fn fall_silent(&self) {
        self.with(|state| state.silent = true);
    }

    pub(crate) fn hang_up_at_quit(&self, times: u32) {
        self.with(|state| state.hang_ups_at_quit = times);
    }
}

fn converse(state: &Arc<Mutex<State>>, stream: TcpStream, dialog: Dialog) {
    let (away, silent) = {
        let mut state = state.lock().unwrap();
        if state.away || state.silent {
            state.turned_away += 1;
        }
        (state.away, state.silent)
    };
    if silent {
        // Holds the line without a word for longer than any test lasts.
        std::thread::sleep(Duration::from_secs(60));
    }
    if !away && !silent {
        // A client that hangs up is nothing to complain about.
        let _ = dialog(state, stream);
    }
}

fn line(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut octets = Vec::new();
    reader.read_until(b'\n', &mut octets)?;
    Ok((!octets.is_empty()).then(|| String::from_utf8_lossy(&octets).trim_end().to_owned()))
}

fn smtp(state: &Arc<Mutex<State>>, mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 post.example ready\r\n")?;
    while let Some(command) = line(&mut reader)? {
        let word = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let reply: &[u8] = match word.as_str() {
            "EHLO" => b"250-post.example\r\n250 8BITMIME\r\n",
            "MAIL" | "RCPT" | "RSET" | "NOOP" => b"250 ok\r\n",
            "QUIT" => b"221 bye\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                let mut mail = Vec::new();
                loop {
                    let mut octets = Vec::new();
                    if reader.read_until(b'\n', &mut octets)? == 0 {
                        return Ok(());
                    }
                    if octets == b".\r\n" {
                        break;
                    }
                    mail.extend(octets.strip_prefix(b".").unwrap_or(&octets));
                }
                state.lock().unwrap().sent.push(mail);
                b"250 taken\r\n"
            }
            _ => b"500 what?\r\n",
        };
        stream.write_all(reply)?;
    }
    Ok(())
}

fn pop3(state: &Arc<Mutex<State>>, mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    stream.write_all(b"+OK ready\r\n")?;
    let mailbox = state.lock().unwrap().mailbox.clone();
    let mut deleted = Vec::new();
    while let Some(command) = line(&mut reader)? {
        let (word, argument) = command.split_once(' ').unwrap_or((&command, ""));
        let chosen = argument.parse::<usize>().ok().and_then(|number| mailbox.get(number.checked_sub(1)?));
        let listing = |entry: fn(&Mail) -> String| {
            let lines = (1..).zip(&mailbox).map(|(number, mail)| format!("{number} {}\r\n", entry(mail)));
            format!("+OK\r\n{}.\r\n", lines.collect::<String>()).into_bytes()
        };
        let reply = match word.to_ascii_uppercase().as_str() {
            "USER" | "PASS" | "NOOP" => b"+OK\r\n".to_vec(),
            "STAT" => format!("+OK {} 1\r\n", mailbox.len()).into_bytes(),
            "LIST" => listing(|mail| mail.octets_declared.to_string()),
            "UIDL" => listing(|mail| format!("uid{}", mail.id)),
            "RETR" => match chosen {
                Some(Mail { content, .. }) => {
                    state.lock().unwrap().retrieved += 1;
                    let mut reply = b"+OK\r\n".to_vec();
                    for part in content.split_inclusive(|octet| *octet == b'\n') {
                        if part.starts_with(b".") {
                            reply.push(b'.');
                        }
                        reply.extend(part);
                    }
                    if !reply.ends_with(b"\r\n") {
                        reply.extend(b"\r\n");
                    }
                    reply.extend(b".\r\n");
                    reply
                }
                None => b"-ERR no such mail\r\n".to_vec(),
            },
            "DELE" => {
                deleted.extend(chosen.map(|mail| mail.id));
                b"+OK\r\n".to_vec()
            }
            "QUIT" => {
                let mut state = state.lock().unwrap();
                if state.hang_ups_at_quit > 0 && !deleted.is_empty() {
                    state.hang_ups_at_quit -= 1;
                    return Ok(());
                }
                state.mailbox.retain(|mail| !deleted.contains(&mail.id));
                b"+OK bye\r\n".to_vec()
            }
            _ => b"-ERR\r\n".to_vec(),
        };
        stream.write_all(&reply)?;
    }
    Ok(())
}
