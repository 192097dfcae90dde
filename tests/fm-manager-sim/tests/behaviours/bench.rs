//! A stand-in and a plain blocking client that writes bytes by hand.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fm_manager_sim::{
    Action, AlarmRecord, Code, Filter, Header, ManagerConfig, ManagerSim, frame, text_bytes,
};

pub(crate) const ID: &str = "100.103";

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn sim() -> ManagerSim {
    ManagerSim::start(ManagerConfig::default()).unwrap()
}

pub(crate) struct Peer(pub(crate) TcpStream);

impl Peer {
    pub(crate) fn new(sim: &ManagerSim) -> Self {
        let stream = TcpStream::connect(sim.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, action: Action, body: &[u8]) {
        self.0.write_all(&frame(action.number(), 0, body)).unwrap();
    }

    pub(crate) fn receive(&mut self) -> io::Result<(Header, Vec<u8>)> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut packet = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut packet)?;
        Ok((Header::from_bytes(&packet).unwrap(), packet[16..].to_vec()))
    }

    /// The code and the body of the answer.
    pub(crate) fn ask(&mut self, action: Action, body: &[u8]) -> (u32, Vec<u8>) {
        self.send(action, body);
        let (header, body) = self.receive().unwrap();
        assert_eq!(header.action, action.number());
        assert_eq!(header.version, 1);
        assert_eq!(usize::try_from(header.size).unwrap(), body.len());
        (header.code, body)
    }

    pub(crate) fn create(&mut self, alarm: &AlarmRecord) -> u32 {
        self.ask(Action::Create, &alarm.to_bytes()).0
    }

    pub(crate) fn delete(&mut self, alarm_id: &str, entity: &str) -> u32 {
        self.ask(Action::Delete, &filter(alarm_id, entity)).0
    }

    pub(crate) fn list(&mut self, action: Action, body: &[u8]) -> Vec<AlarmRecord> {
        let (code, body) = self.ask(action, body);
        if code == Code::NotFound as u32 {
            assert!(body.is_empty());
            return Vec::new();
        }
        let count = u32::from_ne_bytes(body[..4].try_into().unwrap());
        let rows: Vec<AlarmRecord> =
            body[4..].chunks(1568).map(|bytes| AlarmRecord::from_bytes(bytes).unwrap()).collect();
        assert_eq!(usize::try_from(count).unwrap(), rows.len());
        rows
    }

    pub(crate) fn by_id(&mut self, alarm_id: &str) -> Vec<AlarmRecord> {
        self.list(Action::GetById, &text_bytes(alarm_id))
    }
}

pub(crate) fn filter(alarm_id: &str, entity: &str) -> Vec<u8> {
    Filter { alarm_id: alarm_id.to_owned(), entity_instance_id: entity.to_owned() }.to_bytes()
}

pub(crate) fn uuid(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

pub(crate) fn alarm(entity: &str) -> AlarmRecord {
    AlarmRecord {
        alarm_id: ID.to_owned(),
        alarm_state: 1,
        entity_type_id: "host".to_owned(),
        entity_instance_id: entity.to_owned(),
        timestamp: 1_795_341_600_500_000,
        severity: 3,
        reason_text: "broken".to_owned(),
        alarm_type: 4,
        probable_cause: 15,
        ..AlarmRecord::default()
    }
}

pub(crate) fn entities(sim: &ManagerSim) -> Vec<String> {
    sim.alarms().into_iter().map(|row| row.entity_instance_id).collect()
}
