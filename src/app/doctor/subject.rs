//! What is examined, by its stable name, and why it matters.

/// One kind of need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The name for programs; kept stable.
    pub key: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
}

macro_rules! subjects {
    ($($name:ident $key:literal $title:literal $why:literal;)*) => {
        impl Subject {
            $(
                #[doc = $why]
                pub const $name: Subject = Subject { key: $key, title: $title, why: $why };
            )*
            /// Every kind but the configuration itself, in the order in which they are tried.
            pub const ALL: &'static [Subject] = &[$(Subject::$name,)*].split_at(1).1;
        }
    };
}

subjects! {
    CONFIGURATION "configuration" "configuration" "Without a sound configuration nothing starts.";
    SECRETS "secrets" "secrets" "Who can read them can read and change your customers' data.";
    DISK "disk" "disk" "When the disk is full, webhooks are refused and messages arrive late.";
    STORE "store" "store" "Everything that must not be forgotten stands there.";
    DAEMON "daemon" "daemon" "Only a running daemon receives messages and writes changes.";
    PORT "port" "port" "Salebot's messages come in there.";
    AMO "amo" "amoCRM" "Contacts and leads are read and written there.";
    AMO_TOKEN "amo_token" "amoCRM token" "Without a good token amoCRM shows and takes nothing.";
    AMO_CLOCK "amo_clock" "amoCRM clock" "Times of notes and changes are compared with amoCRM's clock.";
    AMO_RIGHTS "amo_rights" "amoCRM rights" "What the token's user may not see or edit is missing on the other side.";
    AMO_ACCOUNT "amo_account" "amoCRM account" "Fields, stages and users tell what the mapping means.";
    AMO_RECORDS "amo_records" "amoCRM records" "Contacts and leads must be readable in the configured version of the API.";
    FIELDS "fields" "mapped fields" "A pair without its field carries nothing.";
    STAGES "stages" "stage table" "A stage that does not exist moves nothing.";
    USERS "users" "users" "Responsible users travel by name.";
    CHOICES "choices" "list values" "amoCRM takes only the choices of a list.";
    SALEBOT "salebot" "Salebot" "Clients, messages and orders are read and written there.";
    SALEBOT_CLOCK "salebot_clock" "Salebot clock" "Times of messages are compared with this machine's clock.";
    SALEBOT_CLIENTS "salebot_read_clients" "right to read clients" "Variables and histories are read with it.";
    SALEBOT_DEALS "salebot_read_deals" "right to read the CRM" "Orders are read with it.";
    SALEBOT_WRITES "salebot_write" "rights to write" "Variables and orders are written with them.";
    CHANNELS "channels" "channels" "Without a connected bot nobody can write.";
    CREATE_WITH "create_with" "channel for new clients" "Clients are made in it.";
    WEBHOOK "webhook" "webhook address" "Salebot delivers each message once, to this address.";
    FUNCTIONS "functions" "bot functions" "Bots call amoCRM functions there.";
    AMO_WEBHOOK "amo_webhook" "amoCRM webhook" "It makes changes arrive at once; without it they wait for the next poll.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let mut keys: Vec<&str> = Subject::ALL.iter().map(|subject| subject.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), Subject::ALL.len());
        assert!(!keys.contains(&"configuration"));
    }
}
