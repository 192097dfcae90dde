//! Messages: a length, a header, a body.

/// The protocol's only version.
pub const VERSION: u32 = 1;
/// Bytes of a header.
pub const HEADER_BYTES: usize = 16;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each action is the protocol's of the same name")]
pub enum Action {
    Create = 0,
    Delete = 2,
    DeleteAll = 3,
    Get = 4,
    GetByEntity = 5,
    GetById = 7,
    GetByIdAndEntity = 8,
    CreateList = 9,
    DeleteList = 10,
}

impl Action {
    const ALL: [Self; 9] = [
        Self::Create,
        Self::Delete,
        Self::DeleteAll,
        Self::Get,
        Self::GetByEntity,
        Self::GetById,
        Self::GetByIdAndEntity,
        Self::CreateList,
        Self::DeleteList,
    ];

    /// The action with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.number() == number)
    }

    /// Its number on the wire.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// Whether it only reads.
    pub fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::GetByEntity | Self::GetById | Self::GetByIdAndEntity)
    }
}

/// The return codes that the manager gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// A body of the wrong size.
    InvalidRequest = 7,
    /// No alarm matches.
    NotFound = 10,
    /// The database refuses, for whatever reason.
    Database = 11,
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the protocol's of the same name")]
pub struct Header {
    pub version: u32,
    pub action: u32,
    pub size: u32,
    pub code: u32,
}

impl Header {
    /// Reads the header that a packet begins with.
    pub fn from_bytes(packet: &[u8]) -> Option<Self> {
        let word = |index: usize| {
            let bytes = packet.get(index * 4..index * 4 + 4)?.try_into().ok()?;
            Some(u32::from_ne_bytes(bytes))
        };
        Some(Self { version: word(0)?, action: word(1)?, size: word(2)?, code: word(3)? })
    }
}

/// A whole message, its length included.
pub fn frame(action: u32, code: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut message = (size + 16).to_be_bytes().to_vec();
    for word in [VERSION, action, size, code] {
        message.extend_from_slice(&word.to_ne_bytes());
    }
    message.extend_from_slice(body);
    message
}
