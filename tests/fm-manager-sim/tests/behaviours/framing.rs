//! Messages on the wire.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use fm_manager_sim::{Action, ManagerConfig, ManagerSim, frame, text_bytes};

use crate::bench::{ID, Peer, alarm, sim};

#[test]
fn a_message_is_a_big_endian_length_and_a_header_in_the_machines_order() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    let mut message = (16u32 + 255).to_be_bytes().to_vec();
    for word in [1u32, 7, 255, 0] {
        message.extend(word.to_ne_bytes());
    }
    message.extend(text_bytes("100.103"));
    peer.0.write_all(&message).unwrap();
    let mut answer = [0; 20];
    peer.0.read_exact(&mut answer).unwrap();
    let mut expected = 16u32.to_be_bytes().to_vec();
    for word in [1u32, 7, 0, 10] {
        expected.extend(word.to_ne_bytes());
    }
    assert_eq!(answer.to_vec(), expected);
}

#[test]
fn a_message_in_pieces_is_put_together() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    for piece in frame(Action::Create.number(), 0, &alarm("host=a").to_bytes()).chunks(300) {
        peer.0.write_all(piece).unwrap();
    }
    assert_eq!(peer.receive().unwrap().0.code, 0);
}

#[test]
fn silence_within_a_message_closes_the_connection_and_silence_before_one_does_not() {
    let silence = Duration::from_millis(200);
    let sim = ManagerSim::start(ManagerConfig { silence, ..ManagerConfig::default() }).unwrap();
    let mut idle = Peer::new(&sim);
    let mut stuck = Peer::new(&sim);
    let started = Instant::now();
    stuck.0.write_all(&frame(Action::GetById.number(), 0, &text_bytes(ID))[..30]).unwrap();
    let mut byte = [0];
    assert_eq!(stuck.0.read(&mut byte).unwrap_or(0), 0, "closed without an answer");
    assert!(started.elapsed() >= silence);
    assert!(idle.by_id(ID).is_empty(), "a connection between messages lives");
    assert_eq!(sim.requests().len(), 1);
}

#[test]
fn an_action_that_does_not_exist_is_not_answered() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    peer.0.write_all(&frame(6, 0, &[])).unwrap();
    // The next request's answer is the next one.
    assert!(peer.by_id(ID).is_empty());
}

#[test]
fn a_header_whose_size_is_not_the_bodys_is_an_invalid_request() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    let mut message = frame(Action::Create.number(), 0, &alarm("host=a").to_bytes());
    message[12..16].copy_from_slice(&7u32.to_ne_bytes());
    peer.0.write_all(&message).unwrap();
    assert_eq!(peer.receive().unwrap().0.code, 7);
}

#[test]
fn it_listens_on_either_address_family() {
    let listen = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let sim = ManagerSim::start(ManagerConfig { listen, ..ManagerConfig::default() }).unwrap();
    assert!(sim.address().is_ipv6());
    assert_eq!(Peer::new(&sim).create(&alarm("host=a")), 0);
}
